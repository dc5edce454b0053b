-- Takes rows out of `workload_done`, after they were copied to `workload`. Safe: the caller compares the
-- number of rows.
DELETE FROM workload_done WHERE id IN ({rows})
