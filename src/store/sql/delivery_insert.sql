-- Adds deliveries. Safe: the key refuses a repeat; large bodies were flushed to files before.
INSERT INTO delivery (
    id, source, external_id, event_kind, action, state, reason, verdicts, trust, tenant_id, replay_of,
    attempts, received_at_ms, traceparent, approval, body_bytes,
    body_file, headers, event, body
) {rows}
