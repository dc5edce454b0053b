-- A page of attempts that ended in a span, latest first, with whose they were and, where the job
-- ended with it and something was promised about it, whether that was missed. The promise is judged
-- by the records of the same run: a manual retry renews queued_at_ms. `terms`
-- is compact JSON of our own, in which only a key can look like that. Safe: reads by index, bounded.
SELECT
    a.token, a.ended_at_ms, a.pool_id, COALESCE(live.tenant_id, done.tenant_id) AS tenant_id,
    COALESCE(live_w."trigger", done_w."trigger") AS "trigger", a.waited_ms, a.assigned_at_ms,
    a.started_at_ms, a.cost_micros_per_hour, a.requeue_reason, a.job_state,
    CASE
        WHEN a.job_state < 4 OR COALESCE(live.terms, done.terms) IS NULL THEN NULL
        WHEN COALESCE(live.terms, done.terms) NOT LIKE '%"max_wait_ms":%'
            AND COALESCE(live.terms, done.terms) NOT LIKE '%"deadline_ms":%' THEN NULL
        ELSE EXISTS (
            SELECT 1 FROM record AS r
            WHERE r.job_id = a.job_id AND r.name = 21 AND r.at_ms <= a.ended_at_ms
                AND (r.at_ms >= COALESCE(live.queued_at_ms, done.queued_at_ms))
                    = (a.ended_at_ms >= COALESCE(live.queued_at_ms, done.queued_at_ms))
        )
    END AS missed
FROM attempt AS a
LEFT JOIN job AS live ON live.id = a.job_id
LEFT JOIN job_done AS done ON done.id = a.job_id
LEFT JOIN workload AS live_w ON live_w.id = live.workload_id
LEFT JOIN workload_done AS done_w ON done_w.id = done.workload_id
WHERE (a.ended_at_ms, a.token) < ($1, $2) AND a.ended_at_ms >= $3
ORDER BY a.ended_at_ms DESC, a.token DESC
LIMIT $4
