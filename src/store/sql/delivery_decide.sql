-- Says what became of deliveries that were accepted, or planned, before. Safe: only once for each, but for one that is
-- planned still; the caller compares the number of rows.
UPDATE delivery
SET state = new.column2, reason = new.column3, verdicts = new.column4, attempts = new.column5,
    approval = new.column6
FROM ({rows}) AS new
WHERE delivery.id = new.column1 AND delivery.state IN (0, 3)
