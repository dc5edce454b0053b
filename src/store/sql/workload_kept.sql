-- Which of these workloads (a JSON list of numbers) are there, live or ended. Safe: reads by key.
SELECT id FROM workload_all WHERE id IN (SELECT value FROM json_each($1))
