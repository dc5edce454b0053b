-- Forgets the bodies of deliveries: an empty one where `body_bytes` says that there were bytes. Safe: by
-- key, inside a fenced transaction; a body beside the row is removed after the commit.
UPDATE delivery
SET body_file = NULL, body = new.column2
FROM ({rows}) AS new
WHERE delivery.id = new.column1
