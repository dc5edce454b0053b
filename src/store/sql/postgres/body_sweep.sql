-- Forgets large bodies that no delivery names, oldest first, some at a time. Safe: only those older
-- than any delivery takes from its body to its commit.
DELETE FROM body
WHERE name IN (
    SELECT name FROM body
    WHERE written_at_ms < $1
        AND NOT EXISTS (SELECT 1 FROM delivery WHERE delivery.body_file = body.name)
    ORDER BY written_at_ms
    LIMIT $2
)
