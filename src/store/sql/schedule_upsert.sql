-- Keeps how far schedules are handled. Safe: by key, inside a fenced transaction.
INSERT INTO schedule (
    name, definition, handled_ms, fired_ms, delivery_id, passed, note, noted_at_ms
) {rows}
ON CONFLICT (name) DO UPDATE
SET definition = excluded.definition, handled_ms = excluded.handled_ms,
    fired_ms = excluded.fired_ms, delivery_id = excluded.delivery_id, passed = excluded.passed,
    note = excluded.note, noted_at_ms = excluded.noted_at_ms
