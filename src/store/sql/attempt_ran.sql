-- How long the attempts of a workload's jobs ran, those of one job and one run together. Safe: reads by
-- the index of a workload's jobs and by that of a job's attempts.
SELECT
    attempt.job_id, attempt.run,
    CAST(SUM(attempt.ended_at_ms - attempt.started_at_ms) AS bigint) AS ran_ms
FROM job_spec
JOIN attempt ON attempt.job_id = job_spec.job_id
WHERE job_spec.workload_id = $1 AND attempt.started_at_ms IS NOT NULL
GROUP BY attempt.job_id, attempt.run
ORDER BY attempt.job_id, attempt.run
