-- Forgets messages of ended sessions, up to a number. Safe: inside a fenced transaction, and only of sessions that
-- ended at that very time.
DELETE FROM session_message
WHERE (session_id, sequence) IN (
    SELECT m.session_id, m.sequence
    FROM ({rows}) AS want
    CROSS JOIN session AS s
    CROSS JOIN session_message AS m
    WHERE s.id = want.column1 AND s.ended_at_ms = want.column2 AND m.session_id = s.id
        AND m.sequence <= want.column3
)
