-- A page of a session's messages, oldest first. Safe: reads by key, bounded.
SELECT
    session_id, sequence, direction, kind, author, text, reference, at_ms, lease_token
FROM session_message
WHERE session_id = $1 AND sequence > $2 AND sequence <= $3
ORDER BY sequence
LIMIT $4
