-- Forgets deliveries. Safe: by key, inside a fenced transaction; their keys stay, so none of them is
-- accepted again.
DELETE FROM delivery WHERE id IN ({rows})
