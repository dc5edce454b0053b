-- Claims keys and says which of them were free. Safe: the key decides, also between processes.
INSERT INTO unique_key (scope, key, reference, claimed_at_ms) {rows}
ON CONFLICT (scope, key) DO NOTHING
RETURNING scope, key
