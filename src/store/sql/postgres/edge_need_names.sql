-- The jobs that a job needs, with their names. Safe: reads by prefix of the key.
SELECT job_all.id, job_all.name
FROM edge
JOIN job_all ON job_all.id = edge.needs_job_id
WHERE edge.workload_id = $1 AND edge.job_id = $2
ORDER BY job_all.id
