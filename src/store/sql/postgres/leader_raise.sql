-- Raises the epoch, as a transaction of its own, and says who did and over which backend. Safe: the
-- row's lock waits for whatever an earlier connection still has in flight, and every batch that
-- begins under an older epoch is fenced.
UPDATE leader
SET epoch = epoch + 1, holder = $1, advertised_url = NULL, backend_pid = pg_backend_pid(),
    last_commit_at_ms = $2
WHERE id = 1
