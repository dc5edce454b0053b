-- Takes rows out of `job_done`, after they were copied to `job`. Safe: the caller compares the
-- number of rows.
DELETE FROM job_done WHERE id IN ({rows})
