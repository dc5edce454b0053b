-- One workload, live or ended. Safe: reads by key.
SELECT
    id, run, kind, name, tenant_id, delivery_id, "trigger", session_key, state, begun, created_at_ms,
    ended_at_ms, terms, open, in_group, quiet_until_ms
FROM workload_all
WHERE id = $1
