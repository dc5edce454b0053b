-- Sets what else never changes of blocked jobs that are planned anew. Safe: by key, inside a fenced
-- transaction; the caller compares the number of rows, so a job that is not live is an error.
UPDATE job
SET class_id = new.column2, timeout_ms = new.column3, backoff_ms = new.column4, terms = new.column5
FROM ({rows}) AS new
WHERE job.id = new.column1
