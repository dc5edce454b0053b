-- Runners that the server has started by a provisioner. The row is there before the runner is.
ALTER TABLE runner ADD COLUMN start_order TEXT;     -- JSON: StartOrder; NULL: it came by itself

-- Tells this database from others, in the names that backends are given: the same backend may serve two.
ALTER TABLE leader ADD COLUMN installation TEXT NOT NULL DEFAULT '';
UPDATE leader SET installation = lower(hex(randomblob(4)));
