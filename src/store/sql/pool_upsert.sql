-- Gives a pool a number, and says whose it is. Safe: under a lock; the number of a name that has one
-- stays.
INSERT INTO pool (id, name, tenant_id)
VALUES ((SELECT MAX(id) + 1 FROM pool), $1, (SELECT id FROM tenant WHERE name = $2))
ON CONFLICT (name) DO UPDATE SET tenant_id = excluded.tenant_id
