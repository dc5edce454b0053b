-- One piece of soft state. Safe: reads by key.
SELECT key, value, at_ms FROM soft_state WHERE key = $1
