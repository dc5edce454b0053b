-- A page of workloads that ended up to some time and of which everything was told that is to be, oldest first,
-- with how many rows are theirs. Safe: reads by index, bounded.
SELECT
    w.id, w.ended_at_ms,
    (SELECT count(*) FROM job_spec AS s WHERE s.workload_id = w.id) AS jobs,
    (SELECT count(*) FROM edge AS e WHERE e.workload_id = w.id) AS edges,
    (
        SELECT count(*)
        FROM job_spec AS s
        CROSS JOIN attempt AS a
        WHERE s.workload_id = w.id AND a.job_id = s.job_id
    ) AS attempts,
    (SELECT count(*) FROM record AS r WHERE r.workload_id = w.id) AS records
FROM workload_done AS w
WHERE (w.ended_at_ms, w.id) > ($1, $2) AND w.ended_at_ms <= $3
    AND NOT EXISTS (SELECT 1 FROM outbox AS o WHERE o.workload_id = w.id AND o.state = 0)
ORDER BY w.ended_at_ms, w.id
LIMIT $4
