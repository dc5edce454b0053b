-- Says what became of deliveries that were accepted before. Safe: only once for each; the caller compares
-- the number of rows.
UPDATE delivery
SET state = new.column2, reason = new.column3, verdicts = new.column4
FROM ({rows}) AS new
WHERE delivery.id = new.column1 AND delivery.state = 0
