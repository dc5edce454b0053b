-- Who writes, and how far the ids have come. Safe: reads the one row.
SELECT epoch, holder, next_workload, next_job, next_runner, next_class, last_commit_at_ms
FROM leader
WHERE id = 1
