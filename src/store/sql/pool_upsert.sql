-- Gives a pool a number, and says whose it is. Safe: the number of a name that has one stays.
INSERT INTO pool (name, tenant_id) VALUES ($1, (SELECT id FROM tenant WHERE name = $2))
ON CONFLICT (name) DO UPDATE SET tenant_id = excluded.tenant_id
