-- Ends a log; one that nobody wrote to becomes an empty one. Safe: by key, and sealing twice is sealing once.
INSERT INTO job_log (job_id, attempt, kept_bytes, log_bytes, chunk_offset, sealed)
VALUES ($1, $2, 0, 0, 0, 1)
ON CONFLICT (job_id, attempt) DO UPDATE SET sealed = 1
RETURNING job_id, kept_bytes, log_bytes, sealed
