-- One set of requirements. Safe: reads by key.
SELECT id, requirements FROM class WHERE id = $1
