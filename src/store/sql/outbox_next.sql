-- When the next entry is due that waits. Safe: reads one row by index.
SELECT next_at_ms FROM outbox WHERE state = 0 AND next_at_ms >= 0 ORDER BY next_at_ms LIMIT 1
