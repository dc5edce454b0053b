-- The first bytes of a log. Safe: the key decides who begins it, also between processes; both rows or none
-- are written.
WITH begun AS (
    INSERT INTO job_log (job_id, attempt, kept_bytes, log_bytes, chunk_offset, sealed)
    VALUES ($1::bigint, $2::bigint, $3::bigint, length($4::bytea), 0, 0)
    ON CONFLICT (job_id, attempt) DO NOTHING
    RETURNING job_id
)
INSERT INTO job_log_chunk (job_id, attempt, chunk_offset, bytes)
SELECT $1::bigint, $2::bigint, 0, $4::bytea FROM begun
