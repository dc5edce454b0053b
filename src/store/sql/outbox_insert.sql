-- Adds what is to be told to others. Safe: rows are only added; the sequence is never used again.
INSERT INTO outbox (
    target, line, tenant_id, workload_id, job_id, payload, created_at_ms, state, attempts, next_at_ms, unsure,
    session_id, room, since_ms
) {rows}
