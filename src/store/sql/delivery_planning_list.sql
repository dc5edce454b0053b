-- A page of the deliveries of a source that wait for something to be looked up, oldest first. Safe: reads by index,
-- bounded.
SELECT
    id, source, external_id, event_kind, action, state, reason, verdicts, trust, tenant_id, replay_of,
    attempts, received_at_ms, traceparent, approval, body_bytes,
    headers, event, (body_file IS NOT NULL OR length(body) > 0) AS has_body
FROM delivery
WHERE state = 3 AND source = $1 AND id > $2
ORDER BY id
LIMIT $3
