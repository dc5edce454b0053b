-- Sets what can change of sessions. Safe: by key, inside a fenced transaction; the caller compares the
-- number of rows.
UPDATE session
SET state = new.column2, workload_id = new.column3, runner_id = new.column4, active_at_ms = new.column5,
    ended_at_ms = new.column6, end_reason = new.column7, last_sequence = new.column8,
    said = new.column9, delivered = new.column10, resumed_from = new.column11, given = new.column12,
    lease_token = new.column13, heard = new.column14, spent = new.column15, approvals = new.column16
FROM ({rows}) AS new
WHERE session.id = new.column1
