-- Sets what blocked jobs do that are planned anew: the one change of a spec. Safe: by key, inside a
-- fenced transaction; the caller compares the number of rows.
UPDATE job_spec
SET spec = new.column2
FROM ({rows}) AS new
WHERE job_spec.job_id = new.column1
