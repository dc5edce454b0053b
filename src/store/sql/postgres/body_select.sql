-- The bytes of a large body. Safe: reads by key.
SELECT name, bytes FROM body WHERE name = $1
