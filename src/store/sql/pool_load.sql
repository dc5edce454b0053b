-- Every pool that there is or was. Safe: reads one small table at start.
SELECT id, name, tenant_id FROM pool
