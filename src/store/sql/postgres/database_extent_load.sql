-- How many bytes the database uses and how many it takes, and since when it keeps history. The server
-- does not tell how much of its tables is free, so both are the same: asked for once, since files may
-- grow between two questions. Safe: asks for the size of files, and reads the first row of an index each.
SELECT
    size.bytes AS taken_bytes,
    size.bytes AS used_bytes,
    (SELECT min(ended_at_ms) FROM workload_done) AS oldest_end_ms,
    (SELECT max(ended_at_ms) FROM workload_done) AS newest_end_ms,
    (SELECT received_at_ms FROM delivery ORDER BY id LIMIT 1) AS oldest_delivery_ms,
    (SELECT min(claimed_at_ms) FROM unique_key WHERE scope = 0) AS oldest_key_ms
FROM pg_database_size(current_database()) AS size (bytes)
