-- The ended attempts of one job, newest first. Safe: reads by index, bounded.
SELECT
    token, nonce, job_id, number, run, runner_id, assigned_at_ms, started_at_ms, ended_at_ms, outcome,
    requeue_reason, job_state, exit_code, error, outputs, pool_id, waited_ms, cost_micros_per_hour,
    signal
FROM attempt
WHERE job_id = $1
ORDER BY token DESC
LIMIT $2
