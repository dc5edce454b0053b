-- A page of keys of one kind that were claimed up to some time, oldest first. Safe: reads by index,
-- bounded.
SELECT scope, key, claimed_at_ms
FROM unique_key
WHERE scope = $1 AND (claimed_at_ms, key) > ($2, $3) AND claimed_at_ms <= $4
ORDER BY claimed_at_ms, key
LIMIT $5
