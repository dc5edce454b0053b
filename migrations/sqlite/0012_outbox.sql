-- What is told to others outside: one row from the batch in which it became true until it is told and pruned.
CREATE TABLE outbox (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    target        TEXT NOT NULL,          -- JSON: OutboxTarget
    line          INTEGER NOT NULL,        -- of its target: entries of one line are told one after the other
    tenant_id     INTEGER NOT NULL,
    workload_id   INTEGER NOT NULL,        -- what it is about
    job_id        INTEGER,
    payload       TEXT NOT NULL,          -- JSON: OutboxPayload
    created_at_ms INTEGER NOT NULL,
    -- 0 waiting, 1 sent, 2 dead
    state         INTEGER NOT NULL CHECK (state BETWEEN 0 AND 2),
    attempts      INTEGER NOT NULL,
    next_at_ms    INTEGER NOT NULL,       -- not tried before that
    unsure        INTEGER NOT NULL CHECK (unsure IN (0, 1)),  -- 1: a try was begun, and what it did is not known
    reference     TEXT,                   -- how the other side calls what was made there
    note          TEXT                    -- what came of the last try
) STRICT;
CREATE INDEX outbox_waiting ON outbox (next_at_ms, id) WHERE state = 0;
CREATE INDEX outbox_line ON outbox (line, id) WHERE state = 0;
CREATE INDEX outbox_dead ON outbox (id) WHERE state = 2;
CREATE INDEX outbox_by_workload ON outbox (workload_id, id);
CREATE INDEX outbox_reference ON outbox (line, id) WHERE reference IS NOT NULL;

CREATE VIEW outbox_readable AS
SELECT
    id, target, workload_id, job_id, payload, datetime(created_at_ms / 1000, 'unixepoch') AS created_at,
    CASE state WHEN 0 THEN 'waiting' WHEN 1 THEN 'sent' WHEN 2 THEN 'dead' END AS state,
    attempts, datetime(next_at_ms / 1000, 'unixepoch') AS next_at, unsure, reference, note
FROM outbox;
