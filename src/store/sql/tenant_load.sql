-- Every tenant that there is or was. Safe: reads one small table at start.
SELECT id, name FROM tenant
