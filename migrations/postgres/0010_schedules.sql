-- How far each schedule is handled, and keys of their times.
CREATE TABLE schedule (
    name         text COLLATE "C" PRIMARY KEY,
    definition   text NOT NULL,                    -- syntax, zone and expression: with others it begins anew
    handled_ms   bigint NOT NULL,                    -- its times up to this one came, or were passed over
    fired_ms     bigint,                             -- the last time that came
    delivery_id  text,                             -- the delivery that it made
    passed       bigint NOT NULL,                    -- times that were passed over, of all
    note         text NOT NULL,                    -- how many were last, and why
    noted_at_ms  bigint NOT NULL
);

-- 0 delivery, 1 submission, 2 time of a schedule
ALTER TABLE unique_key DROP CONSTRAINT unique_key_scope_check;
ALTER TABLE unique_key ADD CONSTRAINT unique_key_scope_check CHECK (scope BETWEEN 0 AND 9);
