-- The jobs of these workloads (a JSON list of numbers), whose logs go with them. Safe: reads by index.
SELECT workload_id, job_id
FROM job_spec
WHERE workload_id IN (SELECT value FROM json_each($1))
