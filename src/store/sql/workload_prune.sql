-- Forgets ended workloads, after all that is theirs. Safe: inside a fenced transaction, and only those
-- that ended at that very time: one that was retried since is kept.
DELETE FROM workload_done
WHERE id IN (
    SELECT w.id
    FROM ({rows}) AS want
    CROSS JOIN workload_done AS w
    WHERE w.id = want.column1 AND w.ended_at_ms = want.column2
)
