-- What a job does. Safe: reads by key.
SELECT job_id, spec FROM job_spec WHERE job_id = $1
