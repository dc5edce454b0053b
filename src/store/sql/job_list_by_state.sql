-- A page of jobs in one state, newest first. Safe: bounded; jobs of ended workloads by index.
SELECT
    id, workload_id, class_id, tenant_id, name, timeout_ms, backoff_ms, state, priority, lane_key,
    queued_at_ms, not_before_ms, attempt, retry_count, max_retries, infra_failures, avoid_runner_id,
    cancel_requested_at_ms, external_ref, lease_token, lease_nonce, runner_id, assigned_at_ms,
    started_at_ms, ended_at_ms, end_reason, terms, ready_at_ms, flags, units
FROM job_all
WHERE id < $1 AND state = $3
    AND (CAST($4 AS BIGINT) IS NULL OR tenant_id = $4)
ORDER BY id DESC
LIMIT $2
