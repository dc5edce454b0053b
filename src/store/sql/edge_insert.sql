-- Adds what jobs need. Safe: immutable, written once beside the job's first row.
INSERT INTO edge (workload_id, job_id, needs_job_id) {rows}
