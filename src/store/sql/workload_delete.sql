-- Takes rows out of `workload`, after they were copied to `workload_done`. Safe: the caller compares the
-- number of rows.
DELETE FROM workload WHERE id IN ({rows})
