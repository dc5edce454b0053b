-- Forgets what was told of ended sessions, before these. Safe: inside a fenced transaction, and only of sessions that
-- ended at that very time.
DELETE FROM outbox
WHERE id IN (
    SELECT o.id
    FROM ({rows}) AS want
    CROSS JOIN session AS s
    CROSS JOIN outbox AS o
    WHERE s.id = want.column1 AND s.ended_at_ms = want.column2 AND o.session_id = s.id
)
