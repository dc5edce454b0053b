-- What taken keys stand for. Safe: reads by key, inside the transaction that tried to claim them.
SELECT taken.scope, taken.key, taken.reference
FROM ({rows}) AS want
JOIN unique_key AS taken ON taken.scope = want.column1 AND taken.key = want.column2
