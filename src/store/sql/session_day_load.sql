-- What tenants spent on sessions. Safe: reads, in the load's snapshot.
SELECT tenant_id, day, sessions, cost_micros FROM session_day ORDER BY tenant_id
