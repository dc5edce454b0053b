-- What somebody must approve of a held delivery, and who did.
ALTER TABLE delivery ADD COLUMN approval TEXT;    -- JSON: the subject, the commit, who; NULL: none is needed

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
        WHEN 36 THEN 'delivery.approved' WHEN 37 THEN 'delivery.denied'
        ELSE 'record ' || name
    END AS name,
    to_timestamp(at_ms / 1000.0) AS at,
    delivery_id, workload_id, job_id, runner_id, attempt, author, detail
FROM record;
