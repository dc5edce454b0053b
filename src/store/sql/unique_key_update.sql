-- Says what claimed keys stand for. Safe: by key; the caller compares the number of rows.
UPDATE unique_key
SET reference = new.column3
FROM ({rows}) AS new
WHERE unique_key.scope = new.column1 AND unique_key.key = new.column2
