-- All registered runners. Safe: reads, in the load's snapshot.
SELECT
    id, name, instance_id, boot_id, pool_id, token_hash, capabilities, cordoned, draining, version,
    registered_at_ms, start_order
FROM runner
ORDER BY id
