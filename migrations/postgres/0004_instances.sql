-- Several instances on one database: who leads, and who else is there. Only PostgreSQL has these tables: a
-- SQLite file is one server's. Every time in them is the database's own.

-- Who leads: exactly one row. It stands beside `leader` and not in it, because every batch locks that row
-- and the renewal of a term must not wait for one. Nobody writes state by the right of this row: it says
-- when a leader that holds the session's lock has gone silent, and where calls are to be passed on to.
CREATE TABLE leadership (
    id             bigint PRIMARY KEY CHECK (id = 1),
    instance_id    text COLLATE "C",              -- NULL: nobody has led yet
    name           text,                          -- for people
    advertised_url text,                          -- where other instances reach it
    backend_pid    bigint,                        -- the session that holds the lock
    since_ms       bigint NOT NULL,
    renewed_at_ms  bigint NOT NULL                -- older than the term: another one may take over
) WITH (fillfactor = 10);
INSERT INTO leadership (id, since_ms, renewed_at_ms) VALUES (1, 0, 0);

-- Servers that were heard of lately.
CREATE TABLE instance (
    id             text COLLATE "C" PRIMARY KEY,  -- new with each process
    name           text NOT NULL,
    advertised_url text,
    version        text NOT NULL,
    config_hash    text NOT NULL,                 -- SHA-256 in hex of what instances should have in common
    started_at_ms  bigint NOT NULL,
    seen_at_ms     bigint NOT NULL
) WITH (fillfactor = 40);
