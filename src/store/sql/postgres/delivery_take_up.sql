-- Takes up deliveries that were accepted and not decided, and counts that. Safe: reads by index, bounded;
-- only at the leader's epoch, and what becomes of them is decided by a fenced batch. One that was taken up
-- before, and may have ended the process, is taken up alone: the others are not counted with it.
UPDATE delivery SET attempts = attempts + 1
WHERE id IN (
        SELECT id FROM delivery
        WHERE state = 0
            AND (
                attempts = 0
                OR id = (SELECT id FROM delivery WHERE state = 0 ORDER BY id LIMIT 1)
            )
        ORDER BY id
        LIMIT CASE
            WHEN (SELECT attempts FROM delivery WHERE state = 0 ORDER BY id LIMIT 1) > 0 THEN 1
            ELSE $1
        END
    )
    AND state = 0
    AND EXISTS (SELECT 1 FROM leader WHERE leader.id = 1 AND leader.epoch = $2)
RETURNING
    id, source, external_id, event_kind, action, state, reason, verdicts, trust, tenant_id, replay_of,
    attempts, received_at_ms, traceparent, approval, body_bytes,
    headers, event, (body_file IS NOT NULL OR length(body) > 0) AS has_body
