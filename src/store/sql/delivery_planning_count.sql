-- How many deliveries of each source wait for something to be looked up, and since when. Safe: reads those alone, by
-- index.
SELECT source, COUNT(*) AS many, MIN(received_at_ms) AS since_ms
FROM delivery
WHERE state = 3
GROUP BY source
