-- Notes by which lease messages reached the agent. Safe: by key, inside a fenced transaction; how many
-- of them go to the agent nobody knows beforehand.
UPDATE session_message
SET lease_token = new.column4
FROM ({rows}) AS new
WHERE session_message.session_id = new.column1 AND session_message.sequence > new.column2
    AND session_message.sequence <= new.column3 AND session_message.direction = 0
