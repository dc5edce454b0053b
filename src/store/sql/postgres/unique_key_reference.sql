-- What a taken key stands for. Safe: reads by key.
SELECT reference FROM unique_key WHERE scope = $1 AND key = $2
