-- The outputs of the completed attempts of jobs (a JSON list of ids), oldest first, so that the
-- last one of a job counts. Safe: reads by index.
SELECT token, job_id, outputs
FROM attempt
WHERE job_id IN (SELECT value FROM json_each($1)) AND outcome = 0 AND outputs IS NOT NULL
ORDER BY token
