-- Jobs with a log that nobody wrote to since that time, by number. Safe: walks the key from where the last
-- page ended.
SELECT DISTINCT job_id FROM job_log
WHERE job_id > $1 AND written_at_ms < $2
ORDER BY job_id
LIMIT $3
