-- A page of the provider's ids of what a source sent, newest first. Safe: reads a range of keys, bounded.
SELECT id, external_id
FROM delivery
WHERE id >= $1 AND id < $2 AND source = $3 AND external_id IS NOT NULL AND replay_of IS NULL
ORDER BY id DESC
LIMIT $4
