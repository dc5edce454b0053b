-- The outputs of the completed attempts of jobs (a JSON list of ids), oldest first, so that the
-- last one of a job counts. Safe: reads by index.
SELECT token, job_id, outputs
FROM attempt
WHERE job_id = ANY (ARRAY(SELECT value::int8 FROM json_array_elements_text($1::json)))
    AND outcome = 0 AND outputs IS NOT NULL
ORDER BY token
