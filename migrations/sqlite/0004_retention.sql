-- Pruning finds what is old by these, oldest first. What is written last stands at their right edge,
-- so a new row costs next to nothing.
--
-- Nothing here gives pages back to the file system: a page that becomes free is used again by the
-- next rows, so a file whose pruning keeps up with what comes in stays as long as it is.
CREATE INDEX workload_done_by_end ON workload_done (ended_at_ms, id);
CREATE INDEX unique_key_by_claim ON unique_key (scope, claimed_at_ms);
-- What is about no workload: pauses, runners. The others go with their workload.
CREATE INDEX record_alone ON record (at_ms, seq) WHERE workload_id IS NULL;
