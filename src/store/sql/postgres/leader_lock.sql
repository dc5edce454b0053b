-- First statement of a batch that claims keys: nobody raises the epoch until the batch has ended.
-- Safe: no row means that another writer has loaded since, and the batch must not go on.
SELECT epoch FROM leader WHERE id = 1 AND epoch = $1 FOR SHARE
