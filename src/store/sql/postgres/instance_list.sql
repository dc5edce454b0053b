-- Servers that were heard of lately, the leader first. Safe: reads a handful of rows.
SELECT
    it.id, it.name, it.advertised_url, it.version, it.config_hash, it.started_at_ms,
    (extract(epoch FROM clock_timestamp()) * 1000)::bigint - it.seen_at_ms AS silent_ms,
    (CASE WHEN who.instance_id = it.id THEN 1 ELSE 0 END)::bigint AS leads
FROM instance AS it
LEFT JOIN leadership AS who ON who.id = 1
ORDER BY leads DESC, it.name, it.started_at_ms
LIMIT 1000
