-- A page of entries, newest first. Safe: reads by key, bounded.
SELECT
    id, target, tenant_id, workload_id, session_id, job_id, payload, created_at_ms, since_ms, state, attempts,
    next_at_ms, unsure, reference, note
FROM outbox
WHERE id < $1
    AND (CAST($3 AS BIGINT) IS NULL OR tenant_id = $3)
ORDER BY id DESC
LIMIT $2
