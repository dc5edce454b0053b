-- A page of decided deliveries, oldest first, with whether their bytes are still there: one that is
-- accepted, planned or held is live. Safe: reads by key, bounded.
SELECT
    id, verdicts, (body_file IS NOT NULL OR length(body) > 0) AS has_body, body_bytes, body_file
FROM delivery
WHERE id > $1 AND id < $2 AND state NOT IN (0, 3, 4)
ORDER BY id
LIMIT $3
