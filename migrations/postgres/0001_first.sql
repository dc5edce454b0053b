-- The schema for PostgreSQL, the same in meaning as that of `migrations/sqlite`, which explains its
-- shape: hot tables without an index on what changes, wide rows beside them, no foreign keys.
--
-- What is different here, and why.
--   1. Every number is a bigint, so that both databases are read by the same code. JSON is text and
--      not jsonb: it comes back byte for byte, and may hold what jsonb refuses.
--   2. Texts that are compared or ordered are COLLATE "C": byte by byte, as SQLite does, whatever
--      the database's own order is.
--   3. Hot tables have room left in their pages (fillfactor), so that an update stays in its page and
--      touches no index, and are vacuumed early: their rows come and go all the time.
--   4. Large bodies are rows of `body`, written before the batch: every server can read them.

-- Who writes: exactly one row. A writer raises the epoch when it loads, and every batch first
-- checks that the epoch is still its own; that is what keeps a forgotten writer out.
CREATE TABLE leader (
    id               bigint PRIMARY KEY CHECK (id = 1),
    epoch            bigint NOT NULL,             -- only grows; the upper bits of every lease token
    holder           text,                        -- who raised it last, for people
    advertised_url   text,                        -- where others reach the holder
    backend_pid      bigint,                      -- the holder's connection, where a server has such
    next_workload    bigint NOT NULL,             -- high-water marks: ids are given without gaps and
    next_job         bigint NOT NULL,             -- never again, also when the highest row is gone
    next_runner      bigint NOT NULL,
    next_class       bigint NOT NULL,
    last_commit_at_ms bigint                      -- when the last batch was committed
) WITH (fillfactor = 10);
INSERT INTO leader (id, epoch, next_workload, next_job, next_runner, next_class)
VALUES (1, 0, 1, 1, 1, 1);

-- Who is charged.
CREATE TABLE tenant (
    id   bigint PRIMARY KEY,
    name text COLLATE "C" NOT NULL UNIQUE
);
INSERT INTO tenant (id, name) VALUES (1, 'default');

-- Runners of one kind.
CREATE TABLE pool (
    id        bigint PRIMARY KEY,
    name      text COLLATE "C" NOT NULL UNIQUE,
    tenant_id bigint                              -- NULL: for all tenants
);
INSERT INTO pool (id, name) VALUES (1, 'default');

-- Interned requirements of jobs; never changed, never deleted.
CREATE TABLE class (
    id           bigint PRIMARY KEY,
    requirements text NOT NULL                    -- JSON: RunnerRequirements, normalised
);

-- Processes that take jobs. When one was last heard of is in memory only.
CREATE TABLE runner (
    id               bigint PRIMARY KEY,
    name             text NOT NULL,
    instance_id      text NOT NULL,               -- kept by the runner: the same one, the same runner
    boot_id          text NOT NULL,               -- new with each process of the runner
    pool_id          bigint NOT NULL,
    token_hash       text NOT NULL,               -- SHA-256 in hex; the token itself is nowhere
    capabilities     text NOT NULL,               -- JSON: RunnerCapabilities
    cordoned         text,                        -- by whom and why; NULL: not cordoned
    draining         bigint NOT NULL CHECK (draining IN (0, 1)),
    version          text NOT NULL,
    registered_at_ms bigint NOT NULL
);

-- Accepted requests. The body comes last, so that a list never reads its pages.
CREATE TABLE delivery (
    id             text COLLATE "C" PRIMARY KEY,  -- UUID of version 7: its order is that of time
    source         text NOT NULL,
    external_id    text,                          -- the provider's own id
    event_kind     text NOT NULL,
    action         text,
    -- 0 accepted, 1 dispatched, 2 ignored, 3 planning, 4 held, 5 failed
    state          bigint NOT NULL CHECK (state BETWEEN 0 AND 5),
    reason         text,
    verdicts       text NOT NULL,                 -- JSON: what each trigger said
    trust          text NOT NULL,                 -- JSON: level and reason
    tenant_id      bigint NOT NULL,
    replay_of      text COLLATE "C",              -- the delivery that this one repeats
    attempts       bigint NOT NULL,               -- how often it was taken up to be evaluated
    received_at_ms bigint NOT NULL,
    traceparent    text,
    body_bytes     bigint NOT NULL,
    body_file      text COLLATE "C",              -- a name in `body`
    headers        text NOT NULL,                 -- JSON, without those that authenticate
    event          text,                          -- JSON; NULL: the body could not be understood
    body           bytea,
    CHECK ((body IS NULL) <> (body_file IS NULL)) -- the bytes are in exactly one place
);
CREATE INDEX delivery_by_state ON delivery (state, id);
-- Answers "does any delivery still need this body?".
CREATE INDEX delivery_by_body_file ON delivery (body_file) WHERE body_file IS NOT NULL;

-- Bodies over the inline limit, by the names that deliveries know them by. One that no delivery
-- names is swept.
CREATE TABLE body (
    name          text COLLATE "C" PRIMARY KEY,
    bytes         bytea NOT NULL,
    written_at_ms bigint NOT NULL
        DEFAULT (extract(epoch FROM clock_timestamp()) * 1000)::bigint
);
-- Large and written once: packing them would cost more time than it is worth.
ALTER TABLE body ALTER COLUMN bytes SET STORAGE EXTERNAL;

-- Keys that may be used once. They outlive what they led to: they are the replay defence.
CREATE TABLE unique_key (
    scope         bigint NOT NULL CHECK (scope BETWEEN 0 AND 1), -- 0 delivery, 1 submission
    key           text COLLATE "C" NOT NULL,
    reference     text NOT NULL,                  -- what the first use led to
    claimed_at_ms bigint NOT NULL,
    PRIMARY KEY (scope, key)
);

-- Live workloads.
CREATE TABLE workload (
    id            bigint PRIMARY KEY,
    run           bigint NOT NULL,                -- 1, and one more with each manual retry
    kind          bigint NOT NULL CHECK (kind BETWEEN 0 AND 1), -- 0 workflow, 1 agent
    name          text NOT NULL,
    tenant_id     bigint NOT NULL,
    delivery_id   text COLLATE "C",               -- NULL: it was submitted
    "trigger"     text NOT NULL,                  -- empty: it was submitted
    session_key   text,
    -- 0 pending, 1 claimed, 2 running, 3 completed, 4 failed, 5 cancelled
    state         bigint NOT NULL CHECK (state BETWEEN 0 AND 5),
    begun         bigint NOT NULL CHECK (begun IN (0, 1)),
    created_at_ms bigint NOT NULL,
    ended_at_ms   bigint,
    terms         text,                           -- JSON: WorkloadTerms; NULL: none
    open          bigint NOT NULL,                -- 1: jobs may join it
    in_group      bigint NOT NULL                 -- 1: it is in its group
) WITH (
    fillfactor = 40,
    autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 1000,
    autovacuum_analyze_scale_factor = 0.1, autovacuum_vacuum_cost_delay = 0
);

-- Ended workloads: the same columns in the same order, so that a move is one statement.
CREATE TABLE workload_done (
    id            bigint PRIMARY KEY,
    run           bigint NOT NULL,
    kind          bigint NOT NULL,
    name          text NOT NULL,
    tenant_id     bigint NOT NULL,
    delivery_id   text COLLATE "C",
    "trigger"     text NOT NULL,
    session_key   text,
    state         bigint NOT NULL CHECK (state BETWEEN 3 AND 5),
    begun         bigint NOT NULL,
    created_at_ms bigint NOT NULL,
    ended_at_ms   bigint,
    terms         text,
    open          bigint NOT NULL,
    in_group      bigint NOT NULL
);
CREATE INDEX workload_done_by_state ON workload_done (state, id);

-- All jobs of live workloads, ended ones too.
CREATE TABLE job (
    id                     bigint PRIMARY KEY,
    workload_id            bigint NOT NULL,       -- the first seven, and terms, never change
    class_id               bigint NOT NULL,
    tenant_id              bigint NOT NULL,
    name                   text NOT NULL,
    timeout_ms             bigint NOT NULL,
    backoff_ms             bigint NOT NULL,
    -- 0 blocked, 1 pending, 2 claimed, 3 running, 4 completed, 5 failed, 6 cancelled, 7 skipped
    state                  bigint NOT NULL CHECK (state BETWEEN 0 AND 7),
    -- 0 critical, 1 high, 2 normal, 3 low, 4 background
    priority               bigint NOT NULL CHECK (priority BETWEEN 0 AND 4),
    lane_key               bigint NOT NULL,       -- its place in its lane: smaller goes first
    queued_at_ms           bigint NOT NULL,
    not_before_ms          bigint NOT NULL,       -- 0: at once
    attempt                bigint NOT NULL,       -- tries so far, over all runs
    retry_count            bigint NOT NULL,       -- charged failures of this run
    max_retries            bigint NOT NULL,
    infra_failures         bigint NOT NULL,
    avoid_runner_id        bigint,
    cancel_requested_at_ms bigint,
    external_ref           text,                  -- how a push executor's backend calls the attempt
    lease_token            bigint,                -- the lease: set exactly in claimed and running
    lease_nonce            bigint,                -- its 64 random bits, read as a signed number
    runner_id              bigint,
    assigned_at_ms         bigint,
    started_at_ms          bigint,                -- set exactly in running
    ended_at_ms            bigint,                -- the end: set exactly from completed on
    -- 0 succeeded, 1 failed, 2 timed out, 3 poisoned, 4 cancel requested, 5 need not met,
    -- 6 queue timeout, 7 group replaced, 8 fail fast, 9 wait cycle, 10 need never came
    end_reason             bigint CHECK (end_reason BETWEEN 0 AND 10),
    terms                  text,                  -- JSON: JobTerms; NULL: none
    ready_at_ms            bigint NOT NULL,       -- when it last became pending
    -- 1 a need of it failed, 2 it is in its group, 4 no registered runner could ever take it
    flags                  bigint NOT NULL,
    units                  text                   -- JSON: units of resources that it holds
) WITH (
    fillfactor = 40,
    autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 1000,
    autovacuum_analyze_scale_factor = 0.1, autovacuum_vacuum_cost_delay = 0
);

-- Jobs of ended workloads: the same columns in the same order.
CREATE TABLE job_done (
    id                     bigint PRIMARY KEY,
    workload_id            bigint NOT NULL,
    class_id               bigint NOT NULL,
    tenant_id              bigint NOT NULL,
    name                   text NOT NULL,
    timeout_ms             bigint NOT NULL,
    backoff_ms             bigint NOT NULL,
    state                  bigint NOT NULL CHECK (state BETWEEN 4 AND 7),
    priority               bigint NOT NULL,
    lane_key               bigint NOT NULL,
    queued_at_ms           bigint NOT NULL,
    not_before_ms          bigint NOT NULL,
    attempt                bigint NOT NULL,
    retry_count            bigint NOT NULL,
    max_retries            bigint NOT NULL,
    infra_failures         bigint NOT NULL,
    avoid_runner_id        bigint,
    cancel_requested_at_ms bigint,
    external_ref           text,
    lease_token            bigint,
    lease_nonce            bigint,
    runner_id              bigint,
    assigned_at_ms         bigint,
    started_at_ms          bigint,
    ended_at_ms            bigint,
    end_reason             bigint,
    terms                  text,
    ready_at_ms            bigint NOT NULL,
    flags                  bigint NOT NULL,
    units                  text
);
CREATE INDEX job_done_by_state ON job_done (state, id);
-- For reports: ends that no attempt may have brought about. Those are few.
CREATE INDEX job_done_by_end ON job_done (ended_at_ms, id) WHERE end_reason >= 4;

-- What a job does. It stays here while the job's row moves, and so does the index that finds the
-- jobs of a workload.
CREATE TABLE job_spec (
    job_id      bigint PRIMARY KEY,
    workload_id bigint NOT NULL,
    spec        text NOT NULL                     -- JSON: JobSpec
);
CREATE INDEX job_spec_by_workload ON job_spec (workload_id);

-- Which job needs which; both are of the same workload.
CREATE TABLE edge (
    workload_id  bigint NOT NULL,
    job_id       bigint NOT NULL,
    needs_job_id bigint NOT NULL,
    PRIMARY KEY (workload_id, job_id, needs_job_id)
);

-- Attempts that have ended; a live one is the lease in its job's row. The token is the key, so
-- the order of the rows is the order in which the leases were given.
CREATE TABLE attempt (
    token          bigint PRIMARY KEY,
    nonce          bigint NOT NULL,               -- 64 random bits, read as a signed number
    job_id         bigint NOT NULL,
    number         bigint NOT NULL,               -- which try it was, from 1
    run            bigint NOT NULL,
    runner_id      bigint NOT NULL,
    assigned_at_ms bigint NOT NULL,
    started_at_ms  bigint,                        -- NULL: it never started
    ended_at_ms    bigint NOT NULL,
    -- 0 completed, 1 failed, 2 timed out, 3 cancelled, 4 requeued
    outcome        bigint NOT NULL CHECK (outcome BETWEEN 0 AND 4),
    -- 0 failed, 1 timed out, 2 lease lost, 3 runner lost, 4 evicted, 5 executor unavailable,
    -- 6 drained, 7 preempted, 8 manual; NULL: the job did not go back to the queue
    requeue_reason bigint CHECK (requeue_reason BETWEEN 0 AND 8),
    job_state      bigint NOT NULL CHECK (job_state BETWEEN 0 AND 7), -- after it, as job.state
    exit_code      bigint,
    error          text,
    outputs        text,                          -- JSON object of texts; NULL: none
    pool_id        bigint NOT NULL,
    waited_ms      bigint NOT NULL,               -- from pending to assigned
    cost_micros_per_hour bigint NOT NULL          -- of one slot
);
CREATE INDEX attempt_by_job ON attempt (job_id);
-- For reports, which read attempts by when they ended.
CREATE INDEX attempt_by_end ON attempt (ended_at_ms, token);

-- What happened and no other row says.
CREATE TABLE record (
    seq         bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    name        bigint NOT NULL,                  -- the number of a RecordName; see record_readable
    at_ms       bigint NOT NULL,
    delivery_id text,
    workload_id bigint,
    job_id      bigint,
    runner_id   bigint,
    attempt     bigint,
    author      text,                             -- who asked for it
    detail      text NOT NULL
);
CREATE INDEX record_by_job ON record (job_id, seq) WHERE job_id IS NOT NULL;
CREATE INDEX record_by_workload ON record (workload_id, seq) WHERE workload_id IS NOT NULL;

-- What gives out no jobs for now.
CREATE TABLE pause (
    scope  text COLLATE "C" PRIMARY KEY,          -- JSON: PauseScope
    author text NOT NULL,
    reason text NOT NULL,
    at_ms  bigint NOT NULL
);

-- What was learned and may be lost: usage of tenants, run times, health of runners.
CREATE TABLE soft_state (
    key   text COLLATE "C" PRIMARY KEY,
    value text NOT NULL,                          -- JSON
    at_ms bigint NOT NULL
);

-- For reads that do not care whether a workload has ended.
CREATE VIEW workload_all AS SELECT * FROM workload UNION ALL SELECT * FROM workload_done;
CREATE VIEW job_all AS SELECT * FROM job UNION ALL SELECT * FROM job_done;

-- The tables as people want them who have psql: names for numbers, times as times. Nothing in the
-- program reads these views.
CREATE VIEW job_readable AS
SELECT
    id, workload_id, name,
    CASE state
        WHEN 0 THEN 'blocked' WHEN 1 THEN 'pending' WHEN 2 THEN 'claimed' WHEN 3 THEN 'running'
        WHEN 4 THEN 'completed' WHEN 5 THEN 'failed' WHEN 6 THEN 'cancelled' WHEN 7 THEN 'skipped'
    END AS state,
    CASE priority
        WHEN 0 THEN 'critical' WHEN 1 THEN 'high' WHEN 2 THEN 'normal' WHEN 3 THEN 'low'
        WHEN 4 THEN 'background'
    END AS priority,
    attempt, retry_count, max_retries, infra_failures, runner_id,
    to_timestamp(queued_at_ms / 1000.0) AS queued_at,
    to_timestamp(ready_at_ms / 1000.0) AS ready_at,
    to_timestamp(assigned_at_ms / 1000.0) AS assigned_at,
    to_timestamp(started_at_ms / 1000.0) AS started_at,
    to_timestamp(ended_at_ms / 1000.0) AS ended_at,
    CASE end_reason
        WHEN 0 THEN 'succeeded' WHEN 1 THEN 'failed' WHEN 2 THEN 'timed_out' WHEN 3 THEN 'poisoned'
        WHEN 4 THEN 'cancel_requested' WHEN 5 THEN 'need_not_met' WHEN 6 THEN 'queue_timeout'
        WHEN 7 THEN 'group_replaced' WHEN 8 THEN 'fail_fast' WHEN 9 THEN 'wait_cycle'
        WHEN 10 THEN 'need_never_came'
    END AS end_reason,
    to_timestamp(cancel_requested_at_ms / 1000.0) AS cancel_requested_at,
    (flags & 2) <> 0 AS in_group, (flags & 4) <> 0 AS unschedulable, units, terms
FROM job_all;

CREATE VIEW workload_readable AS
SELECT
    id, run, CASE kind WHEN 0 THEN 'workflow' WHEN 1 THEN 'agent' END AS kind, name,
    CASE state
        WHEN 0 THEN 'pending' WHEN 1 THEN 'claimed' WHEN 2 THEN 'running' WHEN 3 THEN 'completed'
        WHEN 4 THEN 'failed' WHEN 5 THEN 'cancelled'
    END AS state,
    "trigger", delivery_id,
    to_timestamp(created_at_ms / 1000.0) AS created_at,
    to_timestamp(ended_at_ms / 1000.0) AS ended_at,
    open, in_group, terms
FROM workload_all;

CREATE VIEW attempt_readable AS
SELECT
    token, job_id, number, run, runner_id, pool_id,
    CASE outcome
        WHEN 0 THEN 'completed' WHEN 1 THEN 'failed' WHEN 2 THEN 'timed_out'
        WHEN 3 THEN 'cancelled' WHEN 4 THEN 'requeued'
    END AS outcome,
    CASE requeue_reason
        WHEN 0 THEN 'failed' WHEN 1 THEN 'timed_out' WHEN 2 THEN 'lease_lost'
        WHEN 3 THEN 'runner_lost' WHEN 4 THEN 'evicted' WHEN 5 THEN 'executor_unavailable'
        WHEN 6 THEN 'drained' WHEN 7 THEN 'preempted' WHEN 8 THEN 'manual'
    END AS requeue_reason,
    exit_code, error, waited_ms / 1000.0 AS waited_s,
    to_timestamp(assigned_at_ms / 1000.0) AS assigned_at,
    to_timestamp(started_at_ms / 1000.0) AS started_at,
    to_timestamp(ended_at_ms / 1000.0) AS ended_at
FROM attempt;

CREATE VIEW delivery_readable AS
SELECT
    id, source, external_id, event_kind, action,
    CASE state
        WHEN 0 THEN 'accepted' WHEN 1 THEN 'dispatched' WHEN 2 THEN 'ignored'
        WHEN 3 THEN 'planning' WHEN 4 THEN 'held' WHEN 5 THEN 'failed'
    END AS state,
    reason, body_bytes,
    to_timestamp(received_at_ms / 1000.0) AS received_at
FROM delivery;

CREATE VIEW record_readable AS
SELECT
    seq,
    CASE name
        WHEN 10 THEN 'job.requeued' WHEN 11 THEN 'job.cancel_requested'
        WHEN 12 THEN 'workload.retried' WHEN 16 THEN 'runner.deregistered'
        WHEN 17 THEN 'runner.changed' WHEN 18 THEN 'job.priority_changed' WHEN 19 THEN 'job.moved'
        WHEN 21 THEN 'job.late' WHEN 22 THEN 'job.unschedulable'
        WHEN 23 THEN 'job.schedulable' WHEN 24 THEN 'dispatch.paused' WHEN 25 THEN 'dispatch.resumed'
        WHEN 27 THEN 'workload.closed' WHEN 29 THEN 'job.wait_cycle'
        WHEN 31 THEN 'job.at_risk'
        ELSE 'record ' || name
    END AS name,
    to_timestamp(at_ms / 1000.0) AS at,
    delivery_id, workload_id, job_id, runner_id, attempt, author, detail
FROM record;
