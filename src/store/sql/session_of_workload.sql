-- The live session that a workload carries out. Safe: reads by index, one row at most.
SELECT
    id, tenant_id, key, agent, state, workload_id, runner_id, created_at_ms, active_at_ms, ended_at_ms,
    end_reason, last_sequence, said, delivered, resumed_from, given, lease_token, heard, spent, limits,
    approvals, origin, template, reply_to
FROM session
WHERE workload_id = $1 AND state < 4
LIMIT 1
