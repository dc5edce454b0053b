-- All pauses. Safe: reads, in the load's snapshot.
SELECT scope, author, reason, at_ms, breaker FROM pause ORDER BY scope
