-- Which of these files (a JSON list of names) a delivery needs. Safe: reads by index.
SELECT body_file
FROM delivery
WHERE body_file = ANY (ARRAY(SELECT value FROM json_array_elements_text($1::json)))
