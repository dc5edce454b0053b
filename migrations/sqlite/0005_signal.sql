-- A process that was killed has a signal and no exit code: 137 of a shell is not SIGKILL.
ALTER TABLE attempt ADD COLUMN signal INTEGER;  -- NULL: it ended by itself, or there was none

DROP VIEW attempt_readable;
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
    exit_code, signal, error, waited_ms / 1000.0 AS waited_s,
    datetime(assigned_at_ms / 1000, 'unixepoch') AS assigned_at,
    datetime(started_at_ms / 1000, 'unixepoch') AS started_at,
    datetime(ended_at_ms / 1000, 'unixepoch') AS ended_at
FROM attempt;
