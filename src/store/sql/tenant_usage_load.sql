-- What one tenant, or all, have waiting and running, by level. Safe: scans what is live, bounded in time.
SELECT
    priority,
    COUNT(*) FILTER (WHERE state < 2) AS waiting,
    COUNT(*) FILTER (WHERE state IN (2, 3)) AS running,
    MIN(CASE WHEN state < 2 THEN queued_at_ms END) AS oldest_queued_at_ms,
    CAST(SUM(CASE WHEN state IN (2, 3) THEN assigned_at_ms - ready_at_ms ELSE 0 END) AS BIGINT)
        AS waited_ms
FROM job
WHERE (CAST($1 AS BIGINT) IS NULL OR tenant_id = $1)
GROUP BY priority
ORDER BY priority
