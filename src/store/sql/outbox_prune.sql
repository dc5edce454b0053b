-- Forgets what was told of ended workloads. Safe: inside a fenced transaction, and only of those that ended at
-- that very time.
DELETE FROM outbox
WHERE id IN (
    SELECT o.id
    FROM ({rows}) AS want
    CROSS JOIN workload_done AS w
    CROSS JOIN outbox AS o
    WHERE w.id = want.column1 AND w.ended_at_ms = want.column2 AND o.workload_id = w.id
)
