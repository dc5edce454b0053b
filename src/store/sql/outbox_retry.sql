-- Has what was given up tried again. Safe: by key, and only what was given up; inside a fenced transaction.
UPDATE outbox
SET state = 0, attempts = 0, next_at_ms = new.column2, since_ms = new.column2
FROM ({rows}) AS new
WHERE outbox.id = new.column1 AND outbox.state + 0 = 2
