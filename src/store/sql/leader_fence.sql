-- First statement of each batch after its claims: writes the marks, if the epoch is still ours.
-- Safe: zero rows mean that another writer has loaded since, and the batch must not commit.
UPDATE leader
SET next_workload = $1, next_job = $2, next_runner = $3, next_class = $4, last_commit_at_ms = $5
WHERE id = 1 AND epoch = $6
