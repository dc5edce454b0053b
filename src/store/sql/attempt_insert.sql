-- Adds attempts that ended. Safe: the token is never used again, so a repeat is refused.
INSERT INTO attempt (
    token, nonce, job_id, number, run, runner_id, assigned_at_ms, started_at_ms, ended_at_ms, outcome,
    requeue_reason, job_state, exit_code, error, outputs, pool_id, waited_ms, cost_micros_per_hour,
    signal
) {rows}
