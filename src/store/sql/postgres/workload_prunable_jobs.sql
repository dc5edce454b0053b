-- The jobs of these workloads (a JSON list of numbers), whose logs go with them. Safe: reads by index.
SELECT workload_id, job_id
FROM job_spec
WHERE workload_id = ANY (ARRAY(SELECT value::bigint FROM json_array_elements_text($1::json)))
