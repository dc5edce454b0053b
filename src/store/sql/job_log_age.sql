-- Of these jobs (a JSON list of numbers) each that is there, with when its workload ended; NULL while it
-- has not. Safe: reads by key.
SELECT job.id, CAST(NULL AS BIGINT) AS ended_at_ms
FROM job
WHERE job.id IN (SELECT value FROM json_each($1))
UNION ALL
SELECT d.id, w.ended_at_ms
FROM job_done AS d
CROSS JOIN workload_done AS w
WHERE d.id IN (SELECT value FROM json_each($1)) AND w.id = d.workload_id
