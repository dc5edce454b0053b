-- The interned requirements of live jobs: what memory keeps. Safe: reads, in the load's snapshot.
SELECT id, requirements FROM class WHERE id IN (SELECT class_id FROM job) ORDER BY id
