-- Which of these workloads (a JSON list of numbers) are there, live or ended. Safe: reads by key.
SELECT id
FROM workload_all
WHERE id = ANY (ARRAY(SELECT value::bigint FROM json_array_elements_text($1::json)))
