-- One delivery without its body. Safe: reads by key.
SELECT
    id, source, external_id, event_kind, action, state, reason, verdicts, trust, tenant_id, replay_of,
    attempts, received_at_ms, traceparent, approval, body_bytes,
    headers, event, (body_file IS NOT NULL OR length(body) > 0) AS has_body
FROM delivery
WHERE id = $1
