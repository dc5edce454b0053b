-- Raises the epoch, as a transaction of its own. Safe: the write waits for whatever an earlier
-- connection still has in flight, and fences every batch that begins under an older epoch.
UPDATE leader SET epoch = epoch + 1, holder = $1, last_commit_at_ms = $2 WHERE id = 1
