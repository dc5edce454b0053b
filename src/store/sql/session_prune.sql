-- Forgets ended sessions, after their messages. Safe: inside a fenced transaction, and only those that ended at that
-- very time.
DELETE FROM session
WHERE id IN (
    SELECT s.id
    FROM ({rows}) AS want
    CROSS JOIN session AS s
    WHERE s.id = want.column1 AND s.ended_at_ms = want.column2
)
