-- Forgets runners. Safe: history names them by number only; the caller compares the number of rows.
DELETE FROM runner WHERE id IN ({rows})
