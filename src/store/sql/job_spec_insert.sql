-- Adds what jobs do. Safe: immutable, written once beside the job's first row.
INSERT INTO job_spec (job_id, workload_id, spec) {rows}
