-- Copies rows that a manual retry reopens unchanged back to `job`. Safe: both tables have the same
-- columns in the same order; the caller compares the number of rows.
INSERT INTO job SELECT * FROM job_done WHERE id IN ({rows})
