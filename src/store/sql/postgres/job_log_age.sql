-- Of these jobs (a JSON list of numbers) each that is there, with when its workload ended; NULL while it
-- has not. Safe: reads by key.
SELECT job.id, CAST(NULL AS BIGINT) AS ended_at_ms
FROM job
WHERE job.id = ANY (ARRAY(SELECT value::bigint FROM json_array_elements_text($1::json)))
UNION ALL
SELECT d.id, w.ended_at_ms
FROM job_done AS d
JOIN workload_done AS w ON w.id = d.workload_id
WHERE d.id = ANY (ARRAY(SELECT value::bigint FROM json_array_elements_text($1::json)))
