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

-- stopped --
-- What stops a subject already because of a receiver's words, locked.
SELECT until FROM suspension
WHERE scope = %(scope)s AND subject = %(subject)s AND source = %(source)s
  AND (until IS NULL OR until > now())
FOR UPDATE

-- suspend --
-- Stops something because of a receiver's words; a stop that lasts longer already stays as long.
-- Gives until when.
INSERT INTO suspension AS s (scope, subject, source, stage, reason, evidence, until)
VALUES (%(scope)s, %(subject)s, %(source)s, %(stage)s, %(reason)s, %(evidence)s, %(until)s)
ON CONFLICT (scope, subject, source) DO UPDATE
SET stage = excluded.stage, reason = excluded.reason, evidence = excluded.evidence,
    since = CASE WHEN s.until > now() THEN s.since ELSE now() END,
    until = greatest(s.until, excluded.until)
RETURNING s.until

-- suppress --
-- Ends mail of a client to an address; a row only where it was not suppressed before.
INSERT INTO suppression (client_id, recipient, reason, evidence)
VALUES (%(client_id)s, lower(%(recipient)s), 'bounce', %(evidence)s)
ON CONFLICT (client_id, recipient) DO NOTHING
RETURNING recipient

-- contexts --
-- Whose messages these are, as far as this node had them last.
SELECT id, client_id, mailbox, recipient, egress_id, coalesce(provider, 'unknown') AS provider
FROM message WHERE id = ANY(%(ids)s) AND node_id = %(node_id)s

-- end_suspensions --
-- Takes away stops of receivers' making whose time is over.
DELETE FROM suspension WHERE source = ANY(%(sources)s) AND until <= now()
RETURNING scope, subject, source, stage, reason, until

-- lift --
-- Takes away slow-downs that limit nothing any more.
DELETE FROM slow_down AS d
USING rate_limit AS r
WHERE r.scope = d.scope AND r.provider = d.provider AND r.subject = d.subject
  AND d.since <= now() AND r.per_hour >= %(free_per_hour)s
RETURNING d.scope, d.provider, d.subject, d.rule, d.since, r.per_hour
