-- A page of what an agent is to be told, oldest first; an answer has what the agent calls its request.
-- Safe: reads by key, bounded.
SELECT
    m.session_id, m.sequence, m.direction, m.kind, m.author, m.text,
    coalesce(r.reference, m.reference) AS reference, m.at_ms, m.lease_token
FROM session_message AS m
LEFT JOIN session_message AS r
    ON m.kind = 5 AND r.session_id = m.session_id AND r.sequence = CAST(m.reference AS BIGINT)
WHERE m.session_id = $1 AND m.sequence > $2 AND m.sequence <= $3 AND m.direction = 0
ORDER BY m.sequence
LIMIT $4
