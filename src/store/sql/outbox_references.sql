-- How the other side of a line calls what was made there, the newest first. Safe: reads by index, bounded.
SELECT
    id, target, tenant_id, workload_id, session_id, job_id, payload, created_at_ms, since_ms, state, attempts,
    next_at_ms, unsure, reference, note
FROM outbox
WHERE line = $1 AND reference IS NOT NULL
ORDER BY id DESC
LIMIT $2
