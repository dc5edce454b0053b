-- A page of deliveries in one state, newest first. Safe: reads by index, bounded.
SELECT
    id, source, external_id, event_kind, action, state, reason, verdicts, trust, tenant_id, replay_of,
    attempts, received_at_ms, traceparent, approval, body_bytes
FROM delivery
WHERE id < $1 AND state = $3
    AND (CAST($4 AS BIGINT) IS NULL OR tenant_id = $4)
ORDER BY id DESC
LIMIT $2
