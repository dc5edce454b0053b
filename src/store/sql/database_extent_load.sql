-- How many bytes the database uses and how many it takes, and since when it keeps history. Safe: reads
-- its head, and the first row of an index each.
SELECT
    (SELECT page_count FROM pragma_page_count) * (SELECT page_size FROM pragma_page_size) AS taken_bytes,
    (
        (SELECT page_count FROM pragma_page_count)
        - (SELECT freelist_count FROM pragma_freelist_count)
    ) * (SELECT page_size FROM pragma_page_size) AS used_bytes,
    (SELECT min(ended_at_ms) FROM workload_done) AS oldest_end_ms,
    (SELECT max(ended_at_ms) FROM workload_done) AS newest_end_ms,
    (SELECT received_at_ms FROM delivery ORDER BY id LIMIT 1) AS oldest_delivery_ms,
    (SELECT min(claimed_at_ms) FROM unique_key WHERE scope = 0) AS oldest_key_ms
