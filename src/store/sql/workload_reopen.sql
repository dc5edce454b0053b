-- Copies rows that a manual retry reopens unchanged back to `workload`. Safe: both tables have the same
-- columns in the same order; the caller compares the number of rows.
INSERT INTO workload SELECT * FROM workload_done WHERE id IN ({rows})
