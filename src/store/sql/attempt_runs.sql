-- The last attempts that ended by themselves, newest first, each with the class of its job.
-- Safe: reads by index, bounded.
SELECT
    COALESCE(job.class_id, job_done.class_id) AS class_id, attempt.runner_id,
    attempt.ended_at_ms - attempt.started_at_ms AS run_ms, attempt.outcome
FROM attempt
LEFT JOIN job ON job.id = attempt.job_id
LEFT JOIN job_done ON job_done.id = attempt.job_id
WHERE attempt.ended_at_ms <= $1 AND attempt.outcome < 3 AND attempt.started_at_ms IS NOT NULL
ORDER BY attempt.ended_at_ms DESC, attempt.token DESC
LIMIT $2
