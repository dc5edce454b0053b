-- One session, live or ended. Safe: reads by key.
SELECT
    id, tenant_id, key, agent, state, workload_id, runner_id, created_at_ms, active_at_ms, ended_at_ms,
    end_reason, last_sequence, said, delivered, resumed_from, given, lease_token, heard, spent, limits,
    approvals, origin, template, reply_to
FROM session
WHERE id = $1
