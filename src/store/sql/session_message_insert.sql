-- Adds messages of sessions. Safe: the key refuses a repeat.
INSERT INTO session_message (
    session_id, sequence, direction, kind, author, text, reference, at_ms, lease_token
) {rows}
