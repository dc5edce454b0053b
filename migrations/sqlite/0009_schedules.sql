-- How far each schedule is handled, and keys of their times.
CREATE TABLE schedule (
    name         TEXT PRIMARY KEY NOT NULL,
    definition   TEXT NOT NULL,                    -- syntax, zone and expression: with others it begins anew
    handled_ms   INTEGER NOT NULL,                    -- its times up to this one came, or were passed over
    fired_ms     INTEGER,                             -- the last time that came
    delivery_id  TEXT,                             -- the delivery that it made
    passed       INTEGER NOT NULL,                    -- times that were passed over, of all
    note         TEXT NOT NULL,                    -- how many were last, and why
    noted_at_ms  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- `unique_key` is made anew because a CHECK cannot be changed.
CREATE TABLE unique_key_new (
    -- 0 delivery, 1 submission, 2 time of a schedule
    scope         INTEGER NOT NULL CHECK (scope BETWEEN 0 AND 9),
    key           TEXT NOT NULL,
    reference     TEXT NOT NULL,                  -- what the first use led to
    claimed_at_ms INTEGER NOT NULL,
    PRIMARY KEY (scope, key)
) STRICT, WITHOUT ROWID;
INSERT INTO unique_key_new SELECT * FROM unique_key;
DROP TABLE unique_key;
ALTER TABLE unique_key_new RENAME TO unique_key;
CREATE INDEX unique_key_by_claim ON unique_key (scope, claimed_at_ms);
