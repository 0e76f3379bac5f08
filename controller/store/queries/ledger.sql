-- used --
-- How much of each cap of a scope is used on a day. Subjects without a row used nothing.
SELECT subject, used
FROM ledger
WHERE scope = %(scope)s AND day = %(day)s AND subject = ANY(%(subjects)s)

-- charge --
-- Adds to what subjects of a scope used on a day; `subjects` and `counts` run in parallel.
INSERT INTO ledger AS l (scope, subject, day, used)
SELECT %(scope)s, subject, %(day)s, count
FROM unnest(%(subjects)s::text[], %(counts)s::integer[]) AS charged (subject, count)
ON CONFLICT (scope, subject, day) DO UPDATE SET used = l.used + excluded.used
