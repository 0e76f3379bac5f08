-- rate_limits --
-- How many messages an hour each limited pair may send now; 0: suspended. A pair that is not among
-- them is not limited.
SELECT scope, provider, subject, per_hour FROM rate_limit ORDER BY scope, provider, subject

-- slowed --
-- A slowed pair, locked; no row: it is not slowed.
SELECT per_hour, since, lowered_at FROM slow_down
WHERE scope = %(scope)s AND provider = %(provider)s AND subject = %(subject)s
FOR UPDATE

-- slow --
-- Writes what became of a pair.
INSERT INTO slow_down (scope, provider, subject, per_hour, since, lowered_at, rule, reason, evidence)
VALUES (%(scope)s, %(provider)s, %(subject)s, %(per_hour)s, %(since)s, %(lowered_at)s, %(rule)s,
        %(reason)s, %(evidence)s)
ON CONFLICT (scope, provider, subject) DO UPDATE
SET per_hour = excluded.per_hour, since = excluded.since, lowered_at = excluded.lowered_at,
    rule = excluded.rule, reason = excluded.reason, evidence = excluded.evidence
