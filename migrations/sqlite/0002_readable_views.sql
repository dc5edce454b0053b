-- The tables as people want them who have the sqlite3 shell: names for numbers, times as text.
-- Nothing in the program reads these views.

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
    datetime(assigned_at_ms / 1000, 'unixepoch') AS assigned_at,
    datetime(started_at_ms / 1000, 'unixepoch') AS started_at,
    datetime(ended_at_ms / 1000, 'unixepoch') AS ended_at,
    CASE end_reason
        WHEN 0 THEN 'succeeded' WHEN 1 THEN 'failed' WHEN 2 THEN 'timed_out' WHEN 3 THEN 'poisoned'
        WHEN 4 THEN 'cancel_requested' WHEN 5 THEN 'need_not_met' WHEN 6 THEN 'queue_timeout'
    END AS end_reason,
    datetime(cancel_requested_at_ms / 1000, 'unixepoch') AS cancel_requested_at
FROM job_all;

CREATE VIEW workload_readable AS
SELECT
    id, run, CASE kind WHEN 0 THEN 'workflow' WHEN 1 THEN 'agent' END AS kind, name,
    CASE state
        WHEN 0 THEN 'pending' WHEN 1 THEN 'claimed' WHEN 2 THEN 'running' WHEN 3 THEN 'completed'
        WHEN 4 THEN 'failed' WHEN 5 THEN 'cancelled'
    END AS state,
    "trigger", delivery_id,
    datetime(created_at_ms / 1000, 'unixepoch') AS created_at,
    datetime(ended_at_ms / 1000, 'unixepoch') AS ended_at
FROM workload_all;

CREATE VIEW attempt_readable AS
SELECT
    token, job_id, number, run, runner_id,
    CASE outcome
        WHEN 0 THEN 'completed' WHEN 1 THEN 'failed' WHEN 2 THEN 'timed_out'
        WHEN 3 THEN 'cancelled' WHEN 4 THEN 'requeued'
    END AS outcome,
    CASE requeue_reason
        WHEN 0 THEN 'failed' WHEN 1 THEN 'timed_out' WHEN 2 THEN 'lease_lost'
        WHEN 3 THEN 'runner_lost' WHEN 4 THEN 'evicted' WHEN 5 THEN 'executor_unavailable'
        WHEN 6 THEN 'drained' WHEN 7 THEN 'preempted' WHEN 8 THEN 'manual'
    END AS requeue_reason,
    exit_code, error,
    datetime(assigned_at_ms / 1000, 'unixepoch') AS assigned_at,
    datetime(started_at_ms / 1000, 'unixepoch') AS started_at,
    datetime(ended_at_ms / 1000, 'unixepoch') AS ended_at
FROM attempt;

CREATE VIEW delivery_readable AS
SELECT
    id, source, external_id, event_kind, action,
    CASE state
        WHEN 0 THEN 'accepted' WHEN 1 THEN 'dispatched' WHEN 2 THEN 'ignored'
        WHEN 3 THEN 'planning' WHEN 4 THEN 'held' WHEN 5 THEN 'failed'
    END AS state,
    reason, body_bytes,
    datetime(received_at_ms / 1000, 'unixepoch') AS received_at
FROM delivery;

CREATE VIEW record_readable AS
SELECT
    seq,
    CASE name
        WHEN 10 THEN 'job.requeued' WHEN 11 THEN 'job.cancel_requested'
        WHEN 12 THEN 'workload.retried' WHEN 16 THEN 'runner.deregistered'
        WHEN 17 THEN 'runner.changed'
        ELSE 'record ' || name
    END AS name,
    datetime(at_ms / 1000, 'unixepoch') AS at,
    delivery_id, workload_id, job_id, runner_id, attempt, author, detail
FROM record;
