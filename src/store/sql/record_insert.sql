-- Adds history. Safe: rows are only added; the sequence is never used again.
INSERT INTO record (
    name, at_ms, delivery_id, workload_id, job_id, runner_id, attempt, author, detail
) {rows}
