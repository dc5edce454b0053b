-- A page of records up to some time that are about no workload, oldest first. Safe: reads by index,
-- bounded.
SELECT seq, at_ms
FROM record
WHERE workload_id IS NULL AND (at_ms, seq) > ($1, $2) AND at_ms <= $3
ORDER BY at_ms, seq
LIMIT $4
