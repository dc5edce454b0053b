-- Copies rows that ended unchanged by this batch to `workload_done`. Safe: both tables have the same
-- columns in the same order; the caller compares the number of rows.
INSERT INTO workload_done SELECT * FROM workload WHERE id IN ({rows})
