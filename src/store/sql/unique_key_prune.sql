-- Forgets keys, which may then be used again. Safe: by key, inside a fenced transaction.
DELETE FROM unique_key WHERE (scope, key) IN ({rows})
