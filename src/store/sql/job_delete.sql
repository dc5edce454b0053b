-- Takes rows out of `job`, after they were copied to `job_done`. Safe: the caller compares the
-- number of rows.
DELETE FROM job WHERE id IN ({rows})
