-- Of workloads that wait still what was told of them last, by line. Safe: reads by index, bounded.
SELECT
    o.id, o.target, o.tenant_id, o.workload_id, o.session_id, o.job_id, o.payload, o.created_at_ms, o.since_ms, o.state, o.attempts, o.next_at_ms, o.unsure, o.reference, o.note
FROM workload AS w
CROSS JOIN outbox AS o
WHERE w.state = 0 AND w.id > $1 AND o.workload_id = w.id AND o.state = 1
ORDER BY w.id, o.id
LIMIT $2
