-- The kept history of one workload and its jobs, newest first. Safe: reads by index, bounded.
SELECT
    seq, name, at_ms, delivery_id, workload_id, job_id, runner_id, attempt, author, detail
FROM record
WHERE workload_id = $1
ORDER BY seq DESC
LIMIT $2
