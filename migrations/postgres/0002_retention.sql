-- Pruning finds what is old by these, oldest first; see the same file for SQLite.
CREATE INDEX workload_done_by_end ON workload_done (ended_at_ms, id);
CREATE INDEX unique_key_by_claim ON unique_key (scope, claimed_at_ms);
CREATE INDEX record_alone ON record (at_ms, seq) WHERE workload_id IS NULL;

-- History grows by inserts and shrinks by pruning, at its old end. By default it would be vacuumed
-- when a fifth of all its rows is dead; so late, pruning finds no free page and the table grows.
-- Here it is vacuumed after 2 % and 5,000 rows, and after as many inserts, which sets the
-- visibility map, so that the next vacuum has only new pages to look at.
ALTER TABLE workload_done SET (
    autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 5000,
    autovacuum_vacuum_insert_scale_factor = 0.02, autovacuum_vacuum_insert_threshold = 20000
);
ALTER TABLE job_done SET (
    autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 5000,
    autovacuum_vacuum_insert_scale_factor = 0.02, autovacuum_vacuum_insert_threshold = 20000
);
ALTER TABLE job_spec SET (
    autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 5000,
    autovacuum_vacuum_insert_scale_factor = 0.02, autovacuum_vacuum_insert_threshold = 20000
);
ALTER TABLE edge SET (
    autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 5000,
    autovacuum_vacuum_insert_scale_factor = 0.02, autovacuum_vacuum_insert_threshold = 20000
);
ALTER TABLE attempt SET (
    autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 5000,
    autovacuum_vacuum_insert_scale_factor = 0.02, autovacuum_vacuum_insert_threshold = 20000
);
ALTER TABLE record SET (
    autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 5000,
    autovacuum_vacuum_insert_scale_factor = 0.02, autovacuum_vacuum_insert_threshold = 20000
);
ALTER TABLE unique_key SET (
    autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 5000,
    autovacuum_vacuum_insert_scale_factor = 0.02, autovacuum_vacuum_insert_threshold = 20000
);
-- Bodies are large: few of them are many pages.
ALTER TABLE delivery SET (
    autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000,
    toast.autovacuum_vacuum_scale_factor = 0.02, toast.autovacuum_vacuum_threshold = 1000
);
ALTER TABLE body SET (
    autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 100,
    toast.autovacuum_vacuum_scale_factor = 0.02, toast.autovacuum_vacuum_threshold = 1000
);
