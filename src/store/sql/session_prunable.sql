-- A page of sessions that ended up to some time and whose work has told all that is to be told, oldest first, with
-- the first of their messages that is still there. Safe: reads by index, bounded.
SELECT
    s.id, s.ended_at_ms,
    coalesce(
        (SELECT min(m.sequence) FROM session_message AS m WHERE m.session_id = s.id), s.last_sequence + 1
    ) AS first_sequence,
    s.last_sequence
FROM session AS s
WHERE s.ended_at_ms IS NOT NULL AND (s.ended_at_ms, s.id) > ($1, $2) AND s.ended_at_ms <= $3
    AND NOT EXISTS (SELECT 1 FROM outbox AS o WHERE o.session_id = s.id AND o.state = 0)
ORDER BY s.ended_at_ms, s.id
LIMIT $4
