-- Says what became of deliveries that were held. Safe: only once for each; the caller compares the number of rows.
UPDATE delivery
SET state = new.column2, reason = new.column3, approval = new.column4
FROM ({rows}) AS new
WHERE delivery.id = new.column1 AND delivery.state = 4
