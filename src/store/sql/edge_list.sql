-- What the jobs of one workload need. Safe: reads by prefix of the key, bounded.
SELECT workload_id, job_id, needs_job_id
FROM edge
WHERE workload_id = $1
ORDER BY workload_id, job_id, needs_job_id
LIMIT $2
