-- Sessions that ended are found by when they did, to be forgotten.
CREATE INDEX session_ended ON session (ended_at_ms, id) WHERE ended_at_ms IS NOT NULL;
