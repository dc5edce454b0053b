-- Sessions of agents, what was said in them, and what tenants spent on them in a day.
CREATE TABLE session (
    id             BIGINT PRIMARY KEY,
    tenant_id      BIGINT NOT NULL,
    key            TEXT NOT NULL,        -- what it is about
    agent          TEXT NOT NULL,        -- the profile
    -- 0 starting, 1 running, 2 idle, 3 waiting approval, 4 ended
    state          BIGINT NOT NULL CHECK (state BETWEEN 0 AND 4),
    workload_id    BIGINT,              -- the live one that carries it out
    runner_id      BIGINT,              -- had it last
    created_at_ms  BIGINT NOT NULL,
    active_at_ms   BIGINT NOT NULL,
    ended_at_ms    BIGINT,              -- set exactly from ended on
    end_reason     TEXT,
    last_sequence  BIGINT NOT NULL,     -- of its messages
    said           BIGINT NOT NULL,     -- the last one to the agent
    delivered      BIGINT NOT NULL,     -- up to here the agent has dealt with them
    resumed_from   BIGINT NOT NULL,
    given          BIGINT NOT NULL,
    lease_token    BIGINT,              -- by which the agent spoke last
    heard          BIGINT NOT NULL,     -- messages of that lease
    spent          TEXT NOT NULL,        -- JSON: Spent
    limits         TEXT NOT NULL,        -- JSON: SessionLimits
    approvals      TEXT NOT NULL,        -- JSON: numbers of requests without an answer
    origin         TEXT NOT NULL,        -- JSON: where it was started
    template       TEXT NOT NULL         -- JSON: SessionTemplate
);
-- One live session has a key.
CREATE UNIQUE INDEX session_live_key ON session (tenant_id, key) WHERE state < 4;
CREATE INDEX session_workload ON session (workload_id) WHERE workload_id IS NOT NULL;
CREATE INDEX session_tenant ON session (tenant_id, id);

CREATE TABLE session_message (
    session_id  BIGINT NOT NULL,
    sequence    BIGINT NOT NULL,        -- from 1 without gaps
    direction   BIGINT NOT NULL CHECK (direction BETWEEN 0 AND 1),  -- 0 to the agent, 1 from it
    -- 0 message, 1 reply, 2 progress, 3 usage, 4 approval request, 5 approval, 6 note
    kind        BIGINT NOT NULL CHECK (kind BETWEEN 0 AND 6),
    author      TEXT NOT NULL,
    text        TEXT NOT NULL,
    reference   TEXT,
    at_ms       BIGINT NOT NULL,
    lease_token BIGINT,
    PRIMARY KEY (session_id, sequence)
);

CREATE TABLE session_day (
    tenant_id   BIGINT PRIMARY KEY,
    day         BIGINT NOT NULL,        -- since 1970-01-01, UTC
    sessions    BIGINT NOT NULL,
    cost_micros BIGINT NOT NULL
);
