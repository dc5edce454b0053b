-- What the jobs of live workloads need. Safe: reads, in the load's snapshot.
SELECT edge.workload_id, edge.job_id, edge.needs_job_id
FROM edge
JOIN workload ON workload.id = edge.workload_id
ORDER BY edge.workload_id, edge.job_id, edge.needs_job_id
