-- Adds runners. Safe: ids are given once by the one writer, a repeat is refused.
INSERT INTO runner (
    id, name, instance_id, boot_id, pool_id, token_hash, capabilities, cordoned, draining, version,
    registered_at_ms, start_order
) {rows}
