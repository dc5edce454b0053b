-- Which of these files (a JSON list of names) a delivery needs. Safe: reads by index.
SELECT body_file FROM delivery WHERE body_file IN (SELECT value FROM json_each($1))
