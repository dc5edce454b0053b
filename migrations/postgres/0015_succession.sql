-- Work that waits until nothing newer came for the same, and whose place newer work takes.
-- wall milliseconds; 0: it waits for nothing newer
ALTER TABLE workload ADD COLUMN quiet_until_ms bigint NOT NULL DEFAULT 0;
ALTER TABLE workload_done ADD COLUMN quiet_until_ms bigint NOT NULL DEFAULT 0;

DROP VIEW workload_readable;
DROP VIEW workload_all;
CREATE VIEW workload_all AS SELECT * FROM workload UNION ALL SELECT * FROM workload_done;
CREATE VIEW workload_readable AS
SELECT
    id, run, CASE kind WHEN 0 THEN 'workflow' WHEN 1 THEN 'agent' END AS kind, name,
    CASE state
        WHEN 0 THEN 'pending' WHEN 1 THEN 'claimed' WHEN 2 THEN 'running' WHEN 3 THEN 'completed'
        WHEN 4 THEN 'failed' WHEN 5 THEN 'cancelled'
    END AS state,
    "trigger", delivery_id,
    to_timestamp(created_at_ms / 1000.0) AS created_at,
    to_timestamp(ended_at_ms / 1000.0) AS ended_at,
    open, in_group, to_timestamp(nullif(quiet_until_ms, 0) / 1000.0) AS quiet_until, terms
FROM workload_all;

-- Of a trigger that somebody paused: why its breaker stopped it, which lasts when the pause is lifted.
ALTER TABLE pause ADD COLUMN breaker text;

-- Jobs of strangers that were stored before classes said whose they are: each gets the class that says so. What is
-- stored of its trust decides. The table is there for as long as this takes.
CREATE TABLE stranger_class AS
SELECT
    found.class_id AS old_id,
    (SELECT next_class FROM leader) + row_number() OVER (ORDER BY found.class_id) - 1 AS new_id
FROM (
    SELECT DISTINCT j.class_id
    FROM job_all AS j
    JOIN job_spec AS s ON s.job_id = j.id
    JOIN class AS c ON c.id = j.class_id
    WHERE coalesce(s.spec::json #>> '{trust,level}', 'unknown') <> 'trusted'
        AND coalesce(c.requirements::json ->> 'untrusted', 'false') = 'false'
) AS found;
INSERT INTO class (id, requirements)
SELECT t.new_id, jsonb_set(c.requirements::jsonb, '{untrusted}', 'true')::text
FROM stranger_class AS t JOIN class AS c ON c.id = t.old_id;
UPDATE job SET class_id = (SELECT t.new_id FROM stranger_class AS t WHERE t.old_id = job.class_id)
WHERE class_id IN (SELECT old_id FROM stranger_class)
    AND id IN (
        SELECT s.job_id FROM job_spec AS s
        WHERE coalesce(s.spec::json #>> '{trust,level}', 'unknown') <> 'trusted'
    );
UPDATE job_done SET class_id = (SELECT t.new_id FROM stranger_class AS t WHERE t.old_id = job_done.class_id)
WHERE class_id IN (SELECT old_id FROM stranger_class)
    AND id IN (
        SELECT s.job_id FROM job_spec AS s
        WHERE coalesce(s.spec::json #>> '{trust,level}', 'unknown') <> 'trusted'
    );
UPDATE leader SET next_class = next_class + (SELECT count(*) FROM stranger_class);
DROP TABLE stranger_class;
