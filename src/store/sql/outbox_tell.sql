-- Says what became of tries. Safe: by key, and only what waits and was not tried since it was read; inside a
-- fenced transaction.
UPDATE outbox
SET state = new.column3, attempts = new.column4, next_at_ms = new.column5, unsure = new.column6,
    reference = new.column7, note = new.column8
FROM ({rows}) AS new
WHERE outbox.id = new.column1 AND outbox.attempts = new.column2 AND outbox.state + 0 = 0
