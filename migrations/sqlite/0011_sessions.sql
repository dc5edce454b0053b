-- Sessions of agents, what was said in them, and what tenants spent on them in a day.
CREATE TABLE session (
    id             INTEGER PRIMARY KEY,
    tenant_id      INTEGER NOT NULL,
    key            TEXT NOT NULL,        -- what it is about
    agent          TEXT NOT NULL,        -- the profile
    -- 0 starting, 1 running, 2 idle, 3 waiting approval, 4 ended
    state          INTEGER NOT NULL CHECK (state BETWEEN 0 AND 4),
    workload_id    INTEGER,              -- the live one that carries it out
    runner_id      INTEGER,              -- had it last
    created_at_ms  INTEGER NOT NULL,
    active_at_ms   INTEGER NOT NULL,
    ended_at_ms    INTEGER,              -- set exactly from ended on
    end_reason     TEXT,
    last_sequence  INTEGER NOT NULL,     -- of its messages
    said           INTEGER NOT NULL,     -- the last one to the agent
    delivered      INTEGER NOT NULL,     -- up to here the agent has dealt with them
    resumed_from   INTEGER NOT NULL,
    given          INTEGER NOT NULL,
    lease_token    INTEGER,              -- by which the agent spoke last
    heard          INTEGER NOT NULL,     -- messages of that lease
    spent          TEXT NOT NULL,        -- JSON: Spent
    limits         TEXT NOT NULL,        -- JSON: SessionLimits
    approvals      TEXT NOT NULL,        -- JSON: numbers of requests without an answer
    origin         TEXT NOT NULL,        -- JSON: where it was started
    template       TEXT NOT NULL         -- JSON: SessionTemplate
) STRICT;
-- One live session has a key.
CREATE UNIQUE INDEX session_live_key ON session (tenant_id, key) WHERE state < 4;
CREATE INDEX session_workload ON session (workload_id) WHERE workload_id IS NOT NULL;
CREATE INDEX session_tenant ON session (tenant_id, id);

CREATE TABLE session_message (
    session_id  INTEGER NOT NULL,
    sequence    INTEGER NOT NULL,        -- from 1 without gaps
    direction   INTEGER NOT NULL CHECK (direction BETWEEN 0 AND 1),  -- 0 to the agent, 1 from it
    -- 0 message, 1 reply, 2 progress, 3 usage, 4 approval request, 5 approval, 6 note
    kind        INTEGER NOT NULL CHECK (kind BETWEEN 0 AND 6),
    author      TEXT NOT NULL,
    text        TEXT NOT NULL,
    reference   TEXT,
    at_ms       INTEGER NOT NULL,
    lease_token INTEGER,
    PRIMARY KEY (session_id, sequence)
) STRICT, WITHOUT ROWID;

CREATE TABLE session_day (
    tenant_id   INTEGER PRIMARY KEY,
    day         INTEGER NOT NULL,        -- since 1970-01-01, UTC
    sessions    INTEGER NOT NULL,
    cost_micros INTEGER NOT NULL
) STRICT;
