-- What tells this database from others. Safe: reads the one row.
SELECT installation FROM leader WHERE id = 1
