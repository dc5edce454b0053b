-- Forgets schedules, of which the database need not have any. Safe: by key, inside a fenced transaction.
DELETE FROM schedule WHERE name IN ({rows})
