-- One ended attempt. Safe: reads by key.
SELECT
    token, nonce, job_id, number, run, runner_id, assigned_at_ms, started_at_ms, ended_at_ms, outcome,
    requeue_reason, job_state, exit_code, error, outputs, pool_id, waited_ms, cost_micros_per_hour,
    signal
FROM attempt
WHERE token = $1
