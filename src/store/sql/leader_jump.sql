-- Leaves out epochs, as a transaction of its own: those that whoever wrote the original of a restored
-- copy may have used after the copy was made. Safe: the epoch only grows.
UPDATE leader SET epoch = epoch + $1 WHERE id = 1
