-- What waits in a line, in order. Safe: reads by index, bounded.
SELECT
    id, target, tenant_id, workload_id, session_id, job_id, payload, created_at_ms, since_ms, state, attempts,
    next_at_ms, unsure, reference, note
FROM outbox
WHERE line = $1 AND state = 0
ORDER BY id
LIMIT $2
