-- Jobs whose fate is decided when everything that they need has ended: three more ways to end, and a record.
-- 11 condition false, 12 unplannable, 13 expanded
ALTER TABLE job DROP CONSTRAINT job_end_reason_check;
ALTER TABLE job ADD CONSTRAINT job_end_reason_check CHECK (end_reason BETWEEN 0 AND 13);

DROP VIEW job_readable;
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
        WHEN 10 THEN 'need_never_came' WHEN 11 THEN 'condition_false' WHEN 12 THEN 'unplannable'
        WHEN 13 THEN 'expanded'
    END AS end_reason,
    to_timestamp(cancel_requested_at_ms / 1000.0) AS cancel_requested_at,
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
    to_timestamp(at_ms / 1000.0) AS at,
    delivery_id, workload_id, job_id, runner_id, attempt, author, detail
FROM record;
