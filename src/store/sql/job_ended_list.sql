-- A page of ends of jobs in a span, latest first, that may have come without an attempt; of ended
-- workloads; a job in whose place others stand (13) is none. `terms` is as in attempt_ended_list. Safe: reads
-- by index, bounded.
SELECT
    j.id, j.ended_at_ms, j.tenant_id, w."trigger", j.state,
    EXISTS (
        SELECT 1 FROM attempt AS a
        WHERE a.job_id = j.id AND +a.ended_at_ms = j.ended_at_ms AND a.job_state >= 4
    ) AS by_attempt,
    CASE
        WHEN j.terms IS NULL THEN NULL
        WHEN j.terms NOT LIKE '%"max_wait_ms":%' AND j.terms NOT LIKE '%"deadline_ms":%' THEN NULL
        ELSE EXISTS (
            SELECT 1 FROM record AS r
            WHERE r.job_id = j.id AND r.name = 21 AND r.at_ms BETWEEN j.queued_at_ms AND j.ended_at_ms
        )
    END AS missed
FROM job_done AS j
LEFT JOIN workload_done AS w ON w.id = j.workload_id
WHERE (j.ended_at_ms, j.id) < ($1, $2) AND j.ended_at_ms >= $3 AND j.end_reason >= 4
    AND j.end_reason <> 13
ORDER BY j.ended_at_ms DESC, j.id DESC
LIMIT $4
