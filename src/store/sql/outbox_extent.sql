-- How many entries wait and are given up, and since when the oldest waits. Safe: reads by index.
SELECT
    (SELECT count(*) FROM outbox WHERE state = 0 AND next_at_ms >= 0) AS waiting,
    (SELECT count(*) FROM outbox WHERE state = 2 AND id > 0) AS dead,
    (SELECT min(created_at_ms) FROM outbox WHERE state = 0 AND next_at_ms >= 0) AS oldest_at_ms
