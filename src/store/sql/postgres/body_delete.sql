-- Forgets a large body whose delivery was not stored. Safe: not while a delivery names it.
DELETE FROM body
WHERE name = $1 AND NOT EXISTS (SELECT 1 FROM delivery WHERE delivery.body_file = body.name)
