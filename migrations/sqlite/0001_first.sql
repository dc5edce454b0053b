-- The schema of the first version, for SQLite.
--
-- Three rules explain its shape.
--   1. `workload` and `job` are hot: they hold exactly the live workloads, which is what the
--      scheduler has in memory. Memory is the index over them and a load scans them, so they have
--      no index on anything. When a workload ends, its rows move to `workload_done` and `job_done`
--      in the same transaction; a manual retry moves them back.
--   2. What is wide and never changes stands beside the hot row (`job_spec`, `edge`) and stays
--      where it is when the row moves; so does the index that finds the jobs of a workload.
--   3. One writer writes all of it. Foreign keys are therefore not declared: the writer's order
--      keeps references valid, and a check per row would cost what the hot tables save.
--
-- Times are milliseconds since 1970-01-01 UTC and end in `_at_ms`. JSON is text. Enums are small
-- integers whose meaning stands beside each CHECK; the views at the end spell them out for people
-- with the sqlite3 shell. Every table is STRICT, so a column holds the type that it declares.

-- Who writes: exactly one row. A writer raises the epoch when it loads, and every batch first
-- checks that the epoch is still its own; that is what keeps a forgotten writer out.
CREATE TABLE leader (
    id               INTEGER PRIMARY KEY CHECK (id = 1),
    epoch            INTEGER NOT NULL,            -- only grows; the upper bits of every lease token
    holder           TEXT,                        -- who raised it last, for people
    advertised_url   TEXT,                        -- where others reach the holder
    backend_pid      INTEGER,                     -- the holder's connection, where a server has such
    next_workload    INTEGER NOT NULL,            -- high-water marks: ids are given without gaps and
    next_job         INTEGER NOT NULL,            -- never again, also when the highest row is gone
    next_runner      INTEGER NOT NULL,
    next_class       INTEGER NOT NULL,
    last_commit_at_ms INTEGER                     -- when the last batch was committed
) STRICT;
INSERT INTO leader (id, epoch, next_workload, next_job, next_runner, next_class)
VALUES (1, 0, 1, 1, 1, 1);

-- Who is charged.
CREATE TABLE tenant (
    id   INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;
INSERT INTO tenant (id, name) VALUES (1, 'default');

-- Runners of one kind.
CREATE TABLE pool (
    id        INTEGER PRIMARY KEY,
    name      TEXT NOT NULL UNIQUE,
    tenant_id INTEGER                             -- NULL: for all tenants
) STRICT;
INSERT INTO pool (id, name) VALUES (1, 'default');

-- Interned requirements of jobs; never changed, never deleted.
CREATE TABLE class (
    id           INTEGER PRIMARY KEY,
    requirements TEXT NOT NULL                    -- JSON: RunnerRequirements, normalised
) STRICT;

-- Processes that take jobs. When one was last heard of is in memory only.
CREATE TABLE runner (
    id               INTEGER PRIMARY KEY,
    name             TEXT NOT NULL,
    instance_id      TEXT NOT NULL,               -- kept by the runner: the same one, the same runner
    boot_id          TEXT NOT NULL,               -- new with each process of the runner
    pool_id          INTEGER NOT NULL,
    token_hash       TEXT NOT NULL,               -- SHA-256 in hex; the token itself is nowhere
    capabilities     TEXT NOT NULL,               -- JSON: RunnerCapabilities
    cordoned         TEXT,                        -- by whom and why; NULL: not cordoned
    draining         INTEGER NOT NULL CHECK (draining IN (0, 1)),
    version          TEXT NOT NULL,
    registered_at_ms INTEGER NOT NULL
) STRICT;

-- Accepted requests. The body comes last, so that a list never reads its pages.
CREATE TABLE delivery (
    id             TEXT PRIMARY KEY NOT NULL,     -- UUID of version 7: its order is that of time
    source         TEXT NOT NULL,
    external_id    TEXT,                          -- the provider's own id
    event_kind     TEXT NOT NULL,
    action         TEXT,
    -- 0 accepted, 1 dispatched, 2 ignored, 3 planning, 4 held, 5 failed
    state          INTEGER NOT NULL CHECK (state BETWEEN 0 AND 5),
    reason         TEXT,
    verdicts       TEXT NOT NULL,                 -- JSON: what each trigger said
    trust          TEXT NOT NULL,                 -- JSON: level and reason
    tenant_id      INTEGER NOT NULL,
    replay_of      TEXT,                          -- the delivery that this one repeats
    attempts       INTEGER NOT NULL,              -- how often it was taken up to be evaluated
    received_at_ms INTEGER NOT NULL,
    traceparent    TEXT,
    body_bytes     INTEGER NOT NULL,
    body_file      TEXT,                          -- a name in the folder of bodies
    headers        TEXT NOT NULL,                 -- JSON, without those that authenticate
    event          TEXT,                          -- JSON; NULL: the body could not be understood
    body           BLOB,
    CHECK ((body IS NULL) <> (body_file IS NULL)) -- the bytes are in exactly one place
) STRICT;
CREATE INDEX delivery_by_state ON delivery (state, id);
-- Answers "does any delivery still need this file?".
CREATE INDEX delivery_by_body_file ON delivery (body_file) WHERE body_file IS NOT NULL;

-- Keys that may be used once. They outlive what they led to: they are the replay defence.
CREATE TABLE unique_key (
    scope         INTEGER NOT NULL CHECK (scope BETWEEN 0 AND 1), -- 0 delivery, 1 submission
    key           TEXT NOT NULL,
    reference     TEXT NOT NULL,                  -- what the first use led to
    claimed_at_ms INTEGER NOT NULL,
    PRIMARY KEY (scope, key)
) STRICT, WITHOUT ROWID;

-- Live workloads.
CREATE TABLE workload (
    id            INTEGER PRIMARY KEY,
    run           INTEGER NOT NULL,               -- 1, and one more with each manual retry
    kind          INTEGER NOT NULL CHECK (kind BETWEEN 0 AND 1), -- 0 workflow, 1 agent
    name          TEXT NOT NULL,
    tenant_id     INTEGER NOT NULL,
    delivery_id   TEXT,                           -- NULL: it was submitted
    "trigger"     TEXT NOT NULL,                  -- empty: it was submitted
    session_key   TEXT,
    -- 0 pending, 1 claimed, 2 running, 3 completed, 4 failed, 5 cancelled
    state         INTEGER NOT NULL CHECK (state BETWEEN 0 AND 5),
    begun         INTEGER NOT NULL CHECK (begun IN (0, 1)),
    created_at_ms INTEGER NOT NULL,
    ended_at_ms   INTEGER
) STRICT;

-- Ended workloads: the same columns in the same order, so that a move is one statement.
CREATE TABLE workload_done (
    id            INTEGER PRIMARY KEY,
    run           INTEGER NOT NULL,
    kind          INTEGER NOT NULL,
    name          TEXT NOT NULL,
    tenant_id     INTEGER NOT NULL,
    delivery_id   TEXT,
    "trigger"     TEXT NOT NULL,
    session_key   TEXT,
    state         INTEGER NOT NULL CHECK (state BETWEEN 3 AND 5),
    begun         INTEGER NOT NULL,
    created_at_ms INTEGER NOT NULL,
    ended_at_ms   INTEGER
) STRICT;
CREATE INDEX workload_done_by_state ON workload_done (state);

-- All jobs of live workloads, ended ones too.
CREATE TABLE job (
    id                     INTEGER PRIMARY KEY,
    workload_id            INTEGER NOT NULL,      -- the first seven never change
    class_id               INTEGER NOT NULL,
    tenant_id              INTEGER NOT NULL,
    name                   TEXT NOT NULL,
    timeout_ms             INTEGER NOT NULL,
    backoff_ms             INTEGER NOT NULL,
    -- 0 blocked, 1 pending, 2 claimed, 3 running, 4 completed, 5 failed, 6 cancelled, 7 skipped
    state                  INTEGER NOT NULL CHECK (state BETWEEN 0 AND 7),
    -- 0 critical, 1 high, 2 normal, 3 low, 4 background
    priority               INTEGER NOT NULL CHECK (priority BETWEEN 0 AND 4),
    lane_key               INTEGER NOT NULL,      -- its place in its lane: smaller goes first
    queued_at_ms           INTEGER NOT NULL,
    not_before_ms          INTEGER NOT NULL,      -- 0: at once
    attempt                INTEGER NOT NULL,      -- tries so far, over all runs
    retry_count            INTEGER NOT NULL,      -- charged failures of this run
    max_retries            INTEGER NOT NULL,
    infra_failures         INTEGER NOT NULL,
    avoid_runner_id        INTEGER,
    cancel_requested_at_ms INTEGER,
    external_ref           TEXT,                  -- how a push executor's backend calls the attempt
    lease_token            INTEGER,               -- the lease: set exactly in claimed and running
    lease_nonce            INTEGER,               -- its 64 random bits, read as a signed number
    runner_id              INTEGER,
    assigned_at_ms         INTEGER,
    started_at_ms          INTEGER,               -- set exactly in running
    ended_at_ms            INTEGER,               -- the end: set exactly from completed on
    -- 0 succeeded, 1 failed, 2 timed out, 3 poisoned, 4 cancel requested, 5 need not met,
    -- 6 queue timeout
    end_reason             INTEGER CHECK (end_reason BETWEEN 0 AND 6)
) STRICT;

-- Jobs of ended workloads: the same columns in the same order.
CREATE TABLE job_done (
    id                     INTEGER PRIMARY KEY,
    workload_id            INTEGER NOT NULL,
    class_id               INTEGER NOT NULL,
    tenant_id              INTEGER NOT NULL,
    name                   TEXT NOT NULL,
    timeout_ms             INTEGER NOT NULL,
    backoff_ms             INTEGER NOT NULL,
    state                  INTEGER NOT NULL CHECK (state BETWEEN 4 AND 7),
    priority               INTEGER NOT NULL,
    lane_key               INTEGER NOT NULL,
    queued_at_ms           INTEGER NOT NULL,
    not_before_ms          INTEGER NOT NULL,
    attempt                INTEGER NOT NULL,
    retry_count            INTEGER NOT NULL,
    max_retries            INTEGER NOT NULL,
    infra_failures         INTEGER NOT NULL,
    avoid_runner_id        INTEGER,
    cancel_requested_at_ms INTEGER,
    external_ref           TEXT,
    lease_token            INTEGER,
    lease_nonce            INTEGER,
    runner_id              INTEGER,
    assigned_at_ms         INTEGER,
    started_at_ms          INTEGER,
    ended_at_ms            INTEGER,
    end_reason             INTEGER
) STRICT;
CREATE INDEX job_done_by_state ON job_done (state);

-- What a job does. It stays here while the job's row moves, and so does the index that finds the
-- jobs of a workload.
CREATE TABLE job_spec (
    job_id      INTEGER PRIMARY KEY,
    workload_id INTEGER NOT NULL,
    spec        TEXT NOT NULL                     -- JSON: JobSpec
) STRICT;
CREATE INDEX job_spec_by_workload ON job_spec (workload_id);

-- Which job needs which; both are of the same workload.
CREATE TABLE edge (
    workload_id  INTEGER NOT NULL,
    job_id       INTEGER NOT NULL,
    needs_job_id INTEGER NOT NULL,
    PRIMARY KEY (workload_id, job_id, needs_job_id)
) STRICT, WITHOUT ROWID;

-- Attempts that have ended; a live one is the lease in its job's row. The token is the key, so
-- the order of the rows is the order in which the leases were given.
CREATE TABLE attempt (
    token          INTEGER PRIMARY KEY,
    nonce          INTEGER NOT NULL,              -- 64 random bits, read as a signed number
    job_id         INTEGER NOT NULL,
    number         INTEGER NOT NULL,              -- which try it was, from 1
    run            INTEGER NOT NULL,
    runner_id      INTEGER NOT NULL,
    assigned_at_ms INTEGER NOT NULL,
    started_at_ms  INTEGER,                       -- NULL: it never started
    ended_at_ms    INTEGER NOT NULL,
    -- 0 completed, 1 failed, 2 timed out, 3 cancelled, 4 requeued
    outcome        INTEGER NOT NULL CHECK (outcome BETWEEN 0 AND 4),
    -- 0 failed, 1 timed out, 2 lease lost, 3 runner lost, 4 evicted, 5 executor unavailable,
    -- 6 drained, 7 preempted, 8 manual; NULL: the job did not go back to the queue
    requeue_reason INTEGER CHECK (requeue_reason BETWEEN 0 AND 8),
    job_state      INTEGER NOT NULL CHECK (job_state BETWEEN 0 AND 7), -- after it, as job.state
    exit_code      INTEGER,
    error          TEXT,
    outputs        TEXT                           -- JSON object of texts; NULL: none
) STRICT;
CREATE INDEX attempt_by_job ON attempt (job_id);

-- What happened and no other row says.
CREATE TABLE record (
    seq         INTEGER PRIMARY KEY AUTOINCREMENT,
    name        INTEGER NOT NULL,                 -- the number of a RecordName; see record_readable
    at_ms       INTEGER NOT NULL,
    delivery_id TEXT,
    workload_id INTEGER,
    job_id      INTEGER,
    runner_id   INTEGER,
    attempt     INTEGER,
    author      TEXT,                             -- who asked for it
    detail      TEXT NOT NULL
) STRICT;
CREATE INDEX record_by_job ON record (job_id) WHERE job_id IS NOT NULL;
CREATE INDEX record_by_workload ON record (workload_id) WHERE workload_id IS NOT NULL;

-- For reads that do not care whether a workload has ended.
CREATE VIEW workload_all AS SELECT * FROM workload UNION ALL SELECT * FROM workload_done;
CREATE VIEW job_all AS SELECT * FROM job UNION ALL SELECT * FROM job_done;
