-- The deliveries that wait for an approval. Safe: reads those alone, by index.
SELECT id, approval FROM delivery WHERE state = 4 ORDER BY id
