-- Sets what can change of jobs of live workloads. Safe: by key, inside a fenced transaction; the
-- caller compares the number of rows, so a job that is not live is an error.
UPDATE job
SET state = new.column2, priority = new.column3, lane_key = new.column4,
    queued_at_ms = new.column5, not_before_ms = new.column6, attempt = new.column7,
    retry_count = new.column8, max_retries = new.column9, infra_failures = new.column10,
    avoid_runner_id = new.column11, cancel_requested_at_ms = new.column12,
    external_ref = new.column13, lease_token = new.column14, lease_nonce = new.column15,
    runner_id = new.column16, assigned_at_ms = new.column17, started_at_ms = new.column18,
    ended_at_ms = new.column19, end_reason = new.column20, ready_at_ms = new.column21,
    flags = new.column22, units = new.column23
FROM ({rows}) AS new
WHERE job.id = new.column1
