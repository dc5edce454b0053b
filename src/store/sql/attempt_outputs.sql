-- The outputs of the last attempts of jobs (a JSON list of ids), however these ended. Safe: reads by
-- index.
SELECT token, job_id, outputs
FROM attempt
WHERE job_id IN (SELECT value FROM json_each($1))
    AND outputs IS NOT NULL
    AND NOT EXISTS (
        SELECT 1
        FROM attempt AS later
        WHERE later.job_id = attempt.job_id AND later.token > attempt.token
    )
ORDER BY token
