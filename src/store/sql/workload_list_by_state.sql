-- A page of workloads in one state, newest first. Safe: bounded; ended ones by index.
SELECT
    id, run, kind, name, tenant_id, delivery_id, "trigger", session_key, state, begun, created_at_ms,
    ended_at_ms, terms, open, in_group, quiet_until_ms
FROM workload_all
WHERE id < $1 AND state = $3
    AND (CAST($4 AS BIGINT) IS NULL OR tenant_id = $4)
ORDER BY id DESC
LIMIT $2
