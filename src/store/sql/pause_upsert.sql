-- Keeps pauses; a later one of the same scope replaces the earlier. Safe: by key, inside a fenced
-- transaction.
INSERT INTO pause (scope, author, reason, at_ms, breaker) {rows}
ON CONFLICT (scope) DO UPDATE
SET author = excluded.author, reason = excluded.reason, at_ms = excluded.at_ms, breaker = excluded.breaker
