-- Gives a tenant a number. Safe: under a lock; the number of a name that has one stays.
INSERT INTO tenant (id, name) VALUES ((SELECT MAX(id) + 1 FROM tenant), $1)
ON CONFLICT (name) DO NOTHING
