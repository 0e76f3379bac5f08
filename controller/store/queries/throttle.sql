-- rate_limits --
-- How many messages an hour each limited pair may send now; 0: suspended. A pair that is not among
-- them is not limited.
SELECT scope, provider, subject, per_hour FROM rate_limit ORDER BY scope, provider, subject

-- slowed --
-- A slowed pair, locked; no row: it is not slowed.
SELECT per_hour, since, lowered_at, ceiling FROM slow_down
WHERE scope = %(scope)s AND provider = %(provider)s AND subject = %(subject)s
FOR UPDATE

-- slow --
-- Writes what became of a pair.
INSERT INTO slow_down (scope, provider, subject, per_hour, since, lowered_at, ceiling, rule, reason,
                       evidence, noted_at)
VALUES (%(scope)s, %(provider)s, %(subject)s, %(per_hour)s, %(since)s, %(lowered_at)s, %(ceiling)s,
        %(rule)s, %(reason)s, %(evidence)s, now())
ON CONFLICT (scope, provider, subject) DO UPDATE
SET per_hour = excluded.per_hour, since = excluded.since, lowered_at = excluded.lowered_at,
    ceiling = excluded.ceiling, rule = excluded.rule, reason = excluded.reason, evidence = excluded.evidence,
    noted_at = excluded.noted_at

-- stopped --
-- What stops a subject already because of a receiver's words, locked.
SELECT until FROM suspension
WHERE scope = %(scope)s AND subject = %(subject)s AND source = %(source)s
  AND (until IS NULL OR until > now())
FOR UPDATE

-- suspend --
-- Stops something because of a receiver's words; a stop that lasts longer already stays as long.
-- Gives until when.
INSERT INTO suspension AS s (scope, subject, source, stage, reason, evidence, until, since, noted_at)
VALUES (%(scope)s, %(subject)s, %(source)s, %(stage)s, %(reason)s, %(evidence)s, %(until)s, now(),
        now())
ON CONFLICT (scope, subject, source) DO UPDATE
SET stage = excluded.stage, reason = excluded.reason, evidence = excluded.evidence,
    since = CASE WHEN s.until > now() THEN s.since ELSE now() END,
    noted_at = CASE WHEN s.until >= excluded.until THEN s.noted_at ELSE now() END,
    until = greatest(s.until, excluded.until)
RETURNING s.until

-- suppress --
-- Ends mail of a client to an address; a row only where it was not suppressed before.
INSERT INTO suppression (client_id, recipient, reason, evidence)
VALUES (%(client_id)s, lower(%(recipient)s), 'bounce', %(evidence)s)
ON CONFLICT (client_id, recipient) DO NOTHING
RETURNING recipient

-- give_up --
-- Asks nodes for messages back that are refused for good; gives those that nobody wanted back before.
UPDATE message SET cancel_asked_by = %(actor)s
WHERE id = ANY(%(ids)s) AND state IN ('dispatched', 'queued') AND cancel_asked_by IS NULL
RETURNING id

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

-- breakers --
-- The breakers of these pairs, locked; the arrays run in parallel.
SELECT b.scope, b.provider || '/' || b.subject AS subject, b.position, b.refusals, b.opened,
       b.changed_at, b.until
FROM breaker AS b
JOIN unnest(%(scopes)s::text[], %(providers)s::text[], %(subjects)s::text[])
     AS t (scope, provider, subject)
  ON t.scope = b.scope AND t.provider = b.provider AND t.subject = b.subject
ORDER BY b.scope, b.provider, b.subject
FOR UPDATE OF b

-- concerned --
-- Those of these pairs whose breaker an acceptance would change; the arrays run in parallel.
SELECT b.scope, b.provider || '/' || b.subject AS subject
FROM breaker AS b
JOIN unnest(%(scopes)b::text[], %(providers)b::text[], %(subjects)b::text[])
     AS t (scope, provider, subject)
  ON t.scope = b.scope AND t.provider = b.provider AND t.subject = b.subject
WHERE b.position = 'open' OR b.refusals > 0

-- keep_breaker --
-- Writes what became of one. Its trial is over when it changed.
INSERT INTO breaker AS b (scope, provider, subject, position, refusals, opened, changed_at, until)
VALUES (%(scope)s, %(provider)s, %(subject)s, %(position)s, %(refusals)s, %(opened)s,
        %(changed_at)s, %(until)s)
ON CONFLICT (scope, provider, subject) DO UPDATE
SET position = excluded.position, refusals = excluded.refusals, opened = excluded.opened,
    changed_at = excluded.changed_at, until = excluded.until, trial = NULL, trial_at = NULL

-- end_breaker_suspension --
-- The receiver takes mail again: what the breaker had stopped goes on.
DELETE FROM suspension WHERE scope = %(scope)s AND subject = %(subject)s AND source = 'breaker'

-- forget_breakers --
-- Takes away closed breakers that remember nothing of worth.
DELETE FROM breaker
WHERE position = 'closed' AND (opened = 0 AND refusals = 0 OR changed_at <= now() - interval '24 h')

-- choose_trials --
-- For each half-open breaker that no message tries now, one due message of its pair, any of them:
-- the oldest may be stopped by something else. None that stands behind another open breaker as well,
-- unless that one may be tried too. Locked, so that two dispatchers do not both choose; one of which a
-- receiver's word is being recorded waits for the next cycle.
WITH half_open AS (
    SELECT scope, provider, subject FROM breaker
    WHERE position = 'open' AND until <= now()
      AND (trial IS NULL OR trial_at <= now() - make_interval(secs => %(trial_s)s))
    ORDER BY scope, provider, subject
    FOR UPDATE SKIP LOCKED
)
SELECT b.scope, b.provider, b.subject, t.id, t.egress_id, t.domain
FROM half_open AS b
CROSS JOIN LATERAL (
    SELECT m.id, m.egress_id, split_part(m.mailbox, '@', 2) AS domain
    FROM message AS m
    WHERE m.state = 'scheduled' AND m.receiver = b.provider
      AND m.not_before <= now() + make_interval(secs => %(horizon_s)s)
      AND CASE b.scope WHEN 'provider-egress' THEN m.egress_id = b.subject
                       ELSE split_part(m.mailbox, '@', 2) = b.subject END
      AND NOT EXISTS (
          SELECT 1 FROM breaker AS o
          WHERE o.position = 'open' AND o.provider = m.receiver
            AND CASE o.scope WHEN 'provider-egress' THEN o.subject = m.egress_id
                             ELSE o.subject = split_part(m.mailbox, '@', 2) END
            AND NOT EXISTS (SELECT 1 FROM half_open AS h
                            WHERE h.scope = o.scope AND h.provider = o.provider
                              AND h.subject = o.subject))
    ORDER BY random()
    LIMIT 1
) AS t
ORDER BY b.scope, b.provider, b.subject

-- choose_turns --
-- For each slowed pair of a receiver in no table whose turn it is, one due message of it, any of them;
-- none that stands behind another such pair whose turn it is not. A turn noted later than now is of a
-- clock that was set back. Locked, so that two dispatchers do not both let one go.
WITH ready AS (
    SELECT d.scope, d.provider, d.subject
    FROM slow_down AS d
    JOIN rate_limit AS r
      ON r.scope = d.scope AND r.provider = d.provider AND r.subject = d.subject
    WHERE position('.' IN d.provider) > 0 AND r.per_hour > 0
      AND (d.sent_at IS NULL OR d.sent_at > now()
           OR d.sent_at <= now() - make_interval(secs => 3600 / r.per_hour))
    ORDER BY d.scope, d.provider, d.subject
    FOR UPDATE OF d SKIP LOCKED
)
SELECT b.scope, b.provider, b.subject, t.id, t.egress_id, t.domain
FROM ready AS b
CROSS JOIN LATERAL (
    SELECT m.id, m.egress_id, split_part(m.mailbox, '@', 2) AS domain
    FROM message AS m
    WHERE m.state = 'scheduled' AND m.receiver = b.provider
      AND m.not_before <= now() + make_interval(secs => %(horizon_s)s)
      AND CASE b.scope WHEN 'provider-egress' THEN m.egress_id = b.subject
                       ELSE split_part(m.mailbox, '@', 2) = b.subject END
      AND NOT EXISTS (
          SELECT 1 FROM slow_down AS o
          WHERE o.provider = m.receiver
            AND CASE o.scope WHEN 'provider-egress' THEN o.subject = m.egress_id
                             ELSE o.subject = split_part(m.mailbox, '@', 2) END
            AND NOT EXISTS (SELECT 1 FROM ready AS x
                            WHERE x.scope = o.scope AND x.provider = o.provider
                              AND x.subject = o.subject))
    ORDER BY random()
    LIMIT 1
) AS t
ORDER BY b.scope, b.provider, b.subject

-- note_turns --
-- Slowed pairs of receivers in no table had their turn with these messages. One that is being slowed
-- anew is left alone: its breaker's trial is all that goes in that case, and that is one message.
WITH had AS (
    SELECT d.scope, d.provider, d.subject
    FROM slow_down AS d JOIN message AS m ON d.provider = m.receiver
    WHERE m.id = ANY(%(ids)s) AND position('.' IN d.provider) > 0
      AND CASE d.scope WHEN 'provider-egress' THEN d.subject = m.egress_id
                       ELSE d.subject = split_part(m.mailbox, '@', 2) END
    FOR UPDATE OF d SKIP LOCKED
)
UPDATE slow_down AS d SET sent_at = now()
FROM had AS h
WHERE d.scope = h.scope AND d.provider = h.provider AND d.subject = h.subject

-- begin_trial --
-- A half-open breaker is tried by a message that is on its way.
UPDATE breaker SET trial = %(message_id)s, trial_at = now()
WHERE scope = %(scope)s AND provider = %(provider)s AND subject = %(subject)s

-- pairs --
-- A page of the pairs that are slowed or stopped now, with what says so.
SELECT r.scope, r.provider, r.subject, r.per_hour, s.until,
       CASE WHEN s.scope IS NOT NULL THEN 'stopped'
            WHEN b.position = 'open' THEN 'trying'
            ELSE 'slowed' END AS state,
       coalesce(s.stage, d.rule, '') AS rule, coalesce(s.reason, d.reason, '') AS reason,
       coalesce(s.evidence ->> 'line', d.evidence ->> 'line', '') AS log_line,
       coalesce(d.since, s.since) AS since
FROM rate_limit AS r
LEFT JOIN slow_down AS d
  ON d.scope = r.scope AND d.provider = r.provider AND d.subject = r.subject
LEFT JOIN breaker AS b
  ON b.scope = r.scope AND b.provider = r.provider AND b.subject = r.subject
LEFT JOIN LATERAL (
    SELECT scope, until, stage, reason, evidence, since FROM suspension
    WHERE scope = r.scope AND subject = r.provider || '/' || r.subject
      AND (until IS NULL OR until > now())
    ORDER BY until DESC NULLS FIRST
    LIMIT 1
) AS s ON true
WHERE (%(provider)s = '' OR r.provider = %(provider)s)
  AND (r.scope, r.provider, r.subject) > (%(after_scope)s, %(after_provider)s, %(after_subject)s)
ORDER BY r.scope, r.provider, r.subject
LIMIT %(limit)s

-- release --
-- Ends what receivers' words made of a pair, or (provider '') of an egress, domain or mailbox; what an
-- operator stopped stays. Tells what there was.
WITH stops AS (
    DELETE FROM suspension
    WHERE scope = %(scope)s AND subject = %(stopped)s
      AND source = ANY(%(sources)s)
    RETURNING 1
), breakers AS (
    DELETE FROM breaker
    WHERE scope = %(scope)s AND provider = %(provider)s AND subject = %(subject)s
    RETURNING 1
), slowed AS (
    DELETE FROM slow_down
    WHERE scope = %(scope)s AND provider = %(provider)s AND subject = %(subject)s
    RETURNING per_hour
)
SELECT (SELECT count(*) FROM stops) AS stops, (SELECT count(*) FROM breakers) AS breakers,
       (SELECT count(*) FROM slowed) AS slowed

-- on_nodes --
-- What these nodes are to give back because a receiver takes less from its egress or domain: what it
-- deferred, and of what it takes nothing now also what Postfix does not have yet. Of each at most so
-- many.
WITH limited AS MATERIALIZED (
    SELECT scope, provider, subject, per_hour FROM rate_limit
)
SELECT n.node_id, m.id
FROM unnest(%(node_ids)s::text[]) AS n (node_id)
CROSS JOIN LATERAL (
    SELECT x.id FROM message AS x
    WHERE x.node_id = n.node_id AND x.state IN ('dispatched', 'queued')
      AND EXISTS (
          SELECT 1 FROM limited AS l
          WHERE l.provider = x.provider
            AND l.subject = CASE l.scope WHEN 'provider-egress' THEN x.egress_id
                                         ELSE split_part(x.mailbox, '@', 2) END
            -- Since it is in Postfix's queue this time, it was deferred.
            AND CASE x.state WHEN 'queued' THEN x.attempts > 0 AND x.reason <> ''
                             ELSE l.per_hour = 0 END)
    ORDER BY x.id LIMIT %(limit)s
) AS m
WHERE EXISTS (SELECT 1 FROM limited)

-- plan_anew --
-- Messages that came back after a try, and of which a receiver takes less at a time now, go on when
-- its limit has room for one try more. They keep their mailbox and what was charged for them.
UPDATE message AS m
SET state = 'accepted', egress_id = NULL, reason = 'its receiver takes less at a time: ' || m.reason
WHERE m.id = ANY(%(ids)s) AND m.state = 'scheduled' AND m.attempts > 0
  AND EXISTS (
      SELECT 1 FROM rate_limit AS r
      WHERE r.provider = m.provider
        AND r.subject = CASE r.scope WHEN 'provider-egress' THEN m.egress_id
                                     ELSE split_part(m.mailbox, '@', 2) END)
