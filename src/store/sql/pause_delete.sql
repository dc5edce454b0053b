-- Lifts pauses. Safe: by key; the caller compares the number of rows.
DELETE FROM pause WHERE scope IN ({rows})
