-- A page of workloads, newest first. Safe: reads by key from both ends of their life, bounded.
SELECT
    id, run, kind, name, tenant_id, delivery_id, "trigger", session_key, state, begun, created_at_ms,
    ended_at_ms, terms, open, in_group, quiet_until_ms
FROM workload_all
WHERE id < $1
    AND (CAST($3 AS BIGINT) IS NULL OR tenant_id = $3)
ORDER BY id DESC
LIMIT $2
