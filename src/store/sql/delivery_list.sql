-- A page of deliveries, newest first. Safe: reads by key, bounded.
SELECT
    id, source, external_id, event_kind, action, state, reason, verdicts, trust, tenant_id, replay_of,
    attempts, received_at_ms, traceparent, approval, body_bytes
FROM delivery
WHERE id < $1
    AND (CAST($3 AS BIGINT) IS NULL OR tenant_id = $3)
ORDER BY id DESC
LIMIT $2
