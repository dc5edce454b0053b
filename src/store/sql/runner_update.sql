-- Sets the rows of runners. Safe: by key, inside a fenced transaction; the caller compares the
-- number of rows.
UPDATE runner
SET name = new.column2, instance_id = new.column3, boot_id = new.column4, pool_id = new.column5,
    token_hash = new.column6, capabilities = new.column7, cordoned = new.column8,
    draining = new.column9, version = new.column10, registered_at_ms = new.column11,
    start_order = new.column12
FROM ({rows}) AS new
WHERE runner.id = new.column1
