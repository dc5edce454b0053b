-- Forgets chunks of these jobs (a JSON list of numbers), some at a time. Safe: by key, of logs that are sealed.
DELETE FROM job_log_chunk
WHERE (job_id, attempt, chunk_offset) IN (
    SELECT job_id, attempt, chunk_offset FROM job_log_chunk
    WHERE job_id = ANY (ARRAY(SELECT value::bigint FROM json_array_elements_text($1::json)))
    LIMIT $2
)
