-- Keeps a large body, as a transaction of its own, before the delivery that names it. Safe: nobody
-- reads a body that no delivery names; a repeat after an unknown outcome writes the same bytes.
INSERT INTO body (name, bytes) VALUES ($1, $2)
ON CONFLICT (name) DO UPDATE SET bytes = excluded.bytes
