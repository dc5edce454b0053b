-- Accepts a delivery beside the batches, with its key. Safe: the key decides, also between processes; both
-- rows or none are written.
WITH claimed AS (
    INSERT INTO unique_key (scope, key, reference, claimed_at_ms)
    VALUES ($21::bigint, $22::text, $1::text, $13::bigint)
    ON CONFLICT (scope, key) DO NOTHING
    RETURNING scope
)
INSERT INTO delivery (
    id, source, external_id, event_kind, action, state, reason, verdicts, trust, tenant_id, replay_of,
    attempts, received_at_ms, traceparent, approval, body_bytes,
    body_file, headers, event, body
)
SELECT
    $1::text, $2::text, $3::text, $4::text, $5::text, $6::bigint, $7::text, $8::text, $9::text,
    $10::bigint, $11::text, $12::bigint, $13::bigint, $14::text, $15::text, $16::bigint,
    $17::text, $18::text, $19::text, $20::bytea
FROM claimed
