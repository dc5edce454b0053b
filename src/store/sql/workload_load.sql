-- All live workloads. Safe: reads, in the load's snapshot.
SELECT
    id, run, kind, name, tenant_id, delivery_id, "trigger", session_key, state, begun, created_at_ms,
    ended_at_ms, terms, open, in_group, quiet_until_ms
FROM workload
ORDER BY id
