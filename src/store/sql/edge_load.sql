-- What the jobs of live workloads need. Safe: reads, in the load's snapshot, by prefix of the key.
SELECT edge.workload_id, edge.job_id, edge.needs_job_id
FROM workload
CROSS JOIN edge ON edge.workload_id = workload.id
ORDER BY edge.workload_id, edge.job_id, edge.needs_job_id
