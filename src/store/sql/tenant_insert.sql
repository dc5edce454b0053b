-- Gives a tenant a number. Safe: the number of a name that has one stays.
INSERT INTO tenant (name) VALUES ($1) ON CONFLICT (name) DO NOTHING
