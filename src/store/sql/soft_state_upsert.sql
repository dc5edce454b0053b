-- Keeps soft state; the last value of a key wins. Safe: by key, and nothing depends on it.
INSERT INTO soft_state (key, value, at_ms) {rows}
ON CONFLICT (key) DO UPDATE SET value = excluded.value, at_ms = excluded.at_ms
