-- Forgets the logs of these jobs (a JSON list of numbers). Safe: by key, after their chunks, so that a log
-- that was removed in part is found again.
DELETE FROM job_log
WHERE job_id = ANY (ARRAY(SELECT value::bigint FROM json_array_elements_text($1::json)))
