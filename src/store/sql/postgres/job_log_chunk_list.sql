-- Where a log ends, and its chunks from the one with that byte on, up to another byte. Safe: reads by key, and
-- both as of one moment.
SELECT l.job_id, l.kept_bytes, l.log_bytes, l.sealed, c.chunk_offset, c.bytes
FROM job_log AS l
LEFT JOIN job_log_chunk AS c
    ON c.job_id = l.job_id AND c.attempt = l.attempt AND c.chunk_offset < $4
    AND c.chunk_offset >= (
        SELECT max(f.chunk_offset) FROM job_log_chunk AS f
        WHERE f.job_id = $1 AND f.attempt = $2 AND f.chunk_offset <= $3
    )
WHERE l.job_id = $1 AND l.attempt = $2
ORDER BY c.chunk_offset
