-- Where a log ends. Safe: reads by key.
SELECT job_id, kept_bytes, log_bytes, sealed FROM job_log WHERE job_id = $1 AND attempt = $2
