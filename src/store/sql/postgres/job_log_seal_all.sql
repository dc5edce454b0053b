-- Ends the logs of these jobs (a JSON list of numbers) that were not, before they are removed: who would
-- still add to one is then refused, and leaves no chunk behind. Safe: by key.
UPDATE job_log SET sealed = 1
WHERE job_id = ANY (ARRAY(SELECT value::bigint FROM json_array_elements_text($1::json))) AND sealed = 0
