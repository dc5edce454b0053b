-- A page of entries in one state, newest first. Safe: reads by index, bounded.
SELECT
    id, target, tenant_id, workload_id, session_id, job_id, payload, created_at_ms, since_ms, state, attempts,
    next_at_ms, unsure, reference, note
FROM outbox
WHERE state = $3 AND id < $1
    AND (CAST($4 AS BIGINT) IS NULL OR tenant_id = $4)
ORDER BY id DESC
LIMIT $2
