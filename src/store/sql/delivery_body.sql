-- Where the bytes of a delivery are, or the bytes. Safe: reads by key.
SELECT id, body_bytes, body_file, body FROM delivery WHERE id = $1
