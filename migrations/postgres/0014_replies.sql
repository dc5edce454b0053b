-- Sessions answer where they were started; what is told has rooms of its own and may be of no workload.
ALTER TABLE session ADD COLUMN reply_to text;                   -- JSON: ReplyTo

-- Of which session. An entry with the workload 0 is of none.
ALTER TABLE outbox ADD COLUMN session_id bigint;
-- 0 forges, 1 callbacks, 2 chats: none waits for places of another
ALTER TABLE outbox ADD COLUMN room bigint NOT NULL DEFAULT 0;
-- Since when its age is counted: since it was made, or is tried again
ALTER TABLE outbox ADD COLUMN since_ms bigint NOT NULL DEFAULT 0;
UPDATE outbox SET since_ms = created_at_ms, room = CASE WHEN target LIKE '{"to":"callback"%' THEN 1 ELSE 0 END;

CREATE INDEX outbox_room ON outbox (room, next_at_ms, id) WHERE state = 0;
CREATE INDEX outbox_by_session ON outbox (session_id, id) WHERE session_id IS NOT NULL;

DROP VIEW outbox_readable;
CREATE VIEW outbox_readable AS
SELECT
    id, target, workload_id, session_id, job_id, payload, to_timestamp(created_at_ms / 1000.0) AS created_at,
    CASE state WHEN 0 THEN 'waiting' WHEN 1 THEN 'sent' WHEN 2 THEN 'dead' END AS state,
    attempts, to_timestamp(next_at_ms / 1000.0) AS next_at, unsure, reference, note
FROM outbox;
