-- Forgets the jobs of pruned workloads. Safe: inside a fenced transaction, and only of workloads that
-- ended at that very time: one that was retried since keeps everything.
DELETE FROM job_done
WHERE id IN (
    SELECT s.job_id
    FROM ({rows}) AS want
    CROSS JOIN workload_done AS w
    CROSS JOIN job_spec AS s
    WHERE w.id = want.column1 AND w.ended_at_ms = want.column2 AND s.workload_id = w.id
)
