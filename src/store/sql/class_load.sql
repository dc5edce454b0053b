-- All interned requirements. Safe: reads, in the load's snapshot.
SELECT id, requirements FROM class ORDER BY id
