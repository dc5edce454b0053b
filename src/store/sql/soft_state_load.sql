-- All soft state. Safe: reads, in the load's snapshot.
SELECT key, value, at_ms FROM soft_state ORDER BY key
