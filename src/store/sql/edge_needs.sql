-- The jobs that a job needs, live or ended, in no order. Safe: reads by prefix of the key.
SELECT
    job_all.id, job_all.workload_id, job_all.class_id, job_all.tenant_id, job_all.name,
    job_all.timeout_ms, job_all.backoff_ms, job_all.state, job_all.priority, job_all.lane_key,
    job_all.queued_at_ms, job_all.not_before_ms, job_all.attempt, job_all.retry_count,
    job_all.max_retries, job_all.infra_failures, job_all.avoid_runner_id,
    job_all.cancel_requested_at_ms, job_all.external_ref, job_all.lease_token, job_all.lease_nonce,
    job_all.runner_id, job_all.assigned_at_ms, job_all.started_at_ms, job_all.ended_at_ms,
    job_all.end_reason, job_all.terms, job_all.ready_at_ms, job_all.flags, job_all.units
FROM edge
CROSS JOIN job_all ON job_all.id = edge.needs_job_id
WHERE edge.workload_id = $1 AND edge.job_id = $2
