-- Copies rows that ended unchanged by this batch to `job_done`. Safe: both tables have the same
-- columns in the same order; the caller compares the number of rows.
INSERT INTO job_done SELECT * FROM job WHERE id IN ({rows})
