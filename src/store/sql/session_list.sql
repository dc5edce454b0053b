-- A page of sessions, newest first. Safe: reads by key, bounded.
SELECT
    id, tenant_id, key, agent, state, workload_id, runner_id, created_at_ms, active_at_ms, ended_at_ms,
    end_reason, last_sequence, said, delivered, resumed_from, given, lease_token, heard, spent, limits,
    approvals, origin, template, reply_to
FROM session
WHERE id < $1
    AND (CAST($3 AS BIGINT) IS NULL OR tenant_id = $3)
    AND (CAST($4 AS BIGINT) IS NULL OR state = $4)
ORDER BY id DESC
LIMIT $2
