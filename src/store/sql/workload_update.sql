-- Sets what can change of live workloads. Safe: by key, inside a fenced transaction; the caller
-- compares the number of rows, so a workload that is not live is an error.
UPDATE workload
SET run = new.column2, state = new.column3, begun = new.column4, ended_at_ms = new.column5,
    session_key = new.column6, open = new.column7, in_group = new.column8,
    quiet_until_ms = new.column9
FROM ({rows}) AS new
WHERE workload.id = new.column1
