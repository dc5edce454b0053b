-- Forgets the records of pruned workloads. Safe: inside a fenced transaction, and only of workloads
-- that ended at that very time: one that was retried since keeps everything.
DELETE FROM record
WHERE seq IN (
    SELECT r.seq
    FROM ({rows}) AS want
    CROSS JOIN workload_done AS w
    CROSS JOIN record AS r
    WHERE w.id = want.column1 AND w.ended_at_ms = want.column2 AND r.workload_id = w.id
)
