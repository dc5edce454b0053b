-- Keeps what tenants spent on sessions; a later day replaces the earlier. Safe: by key, inside a fenced
-- transaction.
INSERT INTO session_day (tenant_id, day, sessions, cost_micros) {rows}
ON CONFLICT (tenant_id) DO UPDATE
SET day = excluded.day, sessions = excluded.sessions, cost_micros = excluded.cost_micros
