-- Forgets rows of pruned workloads. Safe: inside a fenced transaction, and only of workloads that ended
-- at that very time: one that was retried since keeps everything.
DELETE FROM job_spec
WHERE workload_id IN (
    SELECT w.id
    FROM ({rows}) AS want
    CROSS JOIN workload_done AS w
    WHERE w.id = want.column1 AND w.ended_at_ms = want.column2
)
