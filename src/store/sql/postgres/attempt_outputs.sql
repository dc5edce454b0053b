-- The outputs of the last attempts of jobs (a JSON list of ids), however these ended. Safe: reads by
-- index.
SELECT token, job_id, outputs
FROM attempt
WHERE job_id = ANY (ARRAY(SELECT value::int8 FROM json_array_elements_text($1::json)))
    AND outputs IS NOT NULL
    AND NOT EXISTS (
        SELECT 1
        FROM attempt AS later
        WHERE later.job_id = attempt.job_id AND later.token > attempt.token
    )
ORDER BY token
