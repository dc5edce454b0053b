-- Adds rows to `workload_done`. Safe: the key refuses a repeat; the hot row goes in the same transaction.
INSERT INTO workload_done (
    id, run, kind, name, tenant_id, delivery_id, "trigger", session_key, state, begun, created_at_ms,
    ended_at_ms, terms, open, in_group, quiet_until_ms
) {rows}
