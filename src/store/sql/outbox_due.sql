-- Of each line of a room that waits the first entry, of those that are due, the one that waits longest first.
-- Safe: reads by index, bounded.
SELECT
    id, target, tenant_id, workload_id, session_id, job_id, payload, created_at_ms, since_ms, state, attempts,
    next_at_ms, unsure, reference, note
FROM outbox AS o
WHERE state = 0 AND room = $3 AND next_at_ms <= $1
    AND NOT EXISTS (SELECT 1 FROM outbox AS p WHERE p.line = o.line AND p.state = 0 AND p.id < o.id)
ORDER BY next_at_ms, id
LIMIT $2
