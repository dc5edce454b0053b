-- How far all schedules are handled. Safe: reads, in the load's snapshot.
SELECT name, definition, handled_ms, fired_ms, delivery_id, passed, note, noted_at_ms
FROM schedule
ORDER BY name
