-- Adds bytes to a log that ends where the caller believes, into its last chunk while that stays small.
-- Safe: the log's row is locked and its end compared before a byte is written, in one statement, so one of
-- several writers adds at a place and the others touch nothing; nobody adds to a sealed one.
WITH moved AS (
    UPDATE job_log
    SET kept_bytes = $3::bigint,
        log_bytes = log_bytes + length($4::bytea),
        chunk_offset = CASE
            WHEN log_bytes - chunk_offset + length($4::bytea) <= $6::bigint THEN chunk_offset
            ELSE log_bytes
        END,
        written_at_ms = (extract(epoch FROM clock_timestamp()) * 1000)::bigint
    WHERE job_id = $1::bigint AND attempt = $2::bigint AND log_bytes = $5::bigint AND sealed = 0
    RETURNING chunk_offset
)
INSERT INTO job_log_chunk (job_id, attempt, chunk_offset, bytes)
SELECT $1::bigint, $2::bigint, chunk_offset, $4::bytea FROM moved
ON CONFLICT (job_id, attempt, chunk_offset) DO UPDATE SET bytes = job_log_chunk.bytes || excluded.bytes
