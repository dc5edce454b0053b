-- Logs of jobs, where every instance has them. Only PostgreSQL has these tables: beside a SQLite file logs
-- are files. No batch of the scheduler touches them, and no load reads them.

-- One attempt's log: where it ends, and whether it goes on. Whoever adds to it changes this row in the same
-- statement, and only from the end that it believes in, so bytes are added once and in order.
CREATE TABLE job_log (
    job_id        bigint NOT NULL,
    attempt       bigint NOT NULL,
    kept_bytes    bigint NOT NULL CHECK (kept_bytes >= 0), -- of what the job wrote: its next offset
    log_bytes     bigint NOT NULL CHECK (log_bytes >= kept_bytes), -- more: a line that says it was cut
    chunk_offset  bigint NOT NULL CHECK (chunk_offset BETWEEN 0 AND log_bytes), -- where its last chunk begins
    sealed        bigint NOT NULL CHECK (sealed IN (0, 1)), -- 1: it takes no more
    written_at_ms bigint NOT NULL
        DEFAULT (extract(epoch FROM clock_timestamp()) * 1000)::bigint,
    PRIMARY KEY (job_id, attempt)
) WITH (
    -- Changed with each piece of a log, and never in an indexed column.
    fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 5000,
    autovacuum_vacuum_insert_scale_factor = 0.02, autovacuum_vacuum_insert_threshold = 20000
);

-- Its bytes, whatever they are: a job may write what is no text. Small pieces are added to the last chunk.
CREATE TABLE job_log_chunk (
    job_id       bigint NOT NULL,
    attempt      bigint NOT NULL,
    chunk_offset bigint NOT NULL, -- of its first byte in the log; the next one begins where it ends
    bytes        bytea NOT NULL,
    PRIMARY KEY (job_id, attempt, chunk_offset)
) WITH (
    fillfactor = 90, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 5000,
    autovacuum_vacuum_insert_scale_factor = 0.02, autovacuum_vacuum_insert_threshold = 20000,
    toast.autovacuum_vacuum_scale_factor = 0.02, toast.autovacuum_vacuum_threshold = 5000
);
