-- Jobs whose fate is decided when everything that they need has ended: three more ways to end, and a record.
--
-- `job` is made anew because a CHECK cannot be changed.
DROP VIEW job_readable;
DROP VIEW job_all;

CREATE TABLE job_new (
    id                     INTEGER PRIMARY KEY,
    workload_id            INTEGER NOT NULL,      -- the first seven, and terms, hardly ever change
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
    -- 6 queue timeout, 7 group replaced, 8 fail fast, 9 wait cycle, 10 need never came,
    -- 11 condition false, 12 unplannable, 13 expanded
    end_reason             INTEGER CHECK (end_reason BETWEEN 0 AND 13),
    terms                  TEXT,                  -- JSON: JobTerms; NULL: none
    ready_at_ms            INTEGER NOT NULL,      -- when it last became pending
    flags                  INTEGER NOT NULL,      -- 1 a need of it failed, 2 it is in its group, 4 no
    -- registered runner could ever take it
    units                  TEXT                   -- JSON: units of resources that it holds
) STRICT;
INSERT INTO job_new SELECT * FROM job;
DROP TABLE job;
ALTER TABLE job_new RENAME TO job;

CREATE VIEW job_all AS SELECT * FROM job UNION ALL SELECT * FROM job_done;

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
    datetime(queued_at_ms / 1000, 'unixepoch') AS queued_at,
    datetime(ready_at_ms / 1000, 'unixepoch') AS ready_at,
    datetime(assigned_at_ms / 1000, 'unixepoch') AS assigned_at,
    datetime(started_at_ms / 1000, 'unixepoch') AS started_at,
    datetime(ended_at_ms / 1000, 'unixepoch') AS ended_at,
    CASE end_reason
        WHEN 0 THEN 'succeeded' WHEN 1 THEN 'failed' WHEN 2 THEN 'timed_out' WHEN 3 THEN 'poisoned'
        WHEN 4 THEN 'cancel_requested' WHEN 5 THEN 'need_not_met' WHEN 6 THEN 'queue_timeout'
        WHEN 7 THEN 'group_replaced' WHEN 8 THEN 'fail_fast' WHEN 9 THEN 'wait_cycle'
        WHEN 10 THEN 'need_never_came' WHEN 11 THEN 'condition_false' WHEN 12 THEN 'unplannable'
        WHEN 13 THEN 'expanded'
    END AS end_reason,
    datetime(cancel_requested_at_ms / 1000, 'unixepoch') AS cancel_requested_at,
    (flags & 2) <> 0 AS in_group, (flags & 4) <> 0 AS unschedulable, units, terms
FROM job_all;

DROP VIEW record_readable;
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
        WHEN 31 THEN 'job.at_risk' WHEN 32 THEN 'executor.changed'
        WHEN 33 THEN 'job.tried' WHEN 34 THEN 'job.decided'
        ELSE 'record ' || name
    END AS name,
    datetime(at_ms / 1000, 'unixepoch') AS at,
    delivery_id, workload_id, job_id, runner_id, attempt, author, detail
FROM record;
