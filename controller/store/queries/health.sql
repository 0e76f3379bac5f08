-- count --
-- Adds to the running hour's counts of mailboxes, their egresses and domains. The arrays run in
-- parallel.
INSERT INTO health_hour AS h (scope, subject, provider, kind, hour, count)
SELECT s.scope, s.subject, t.provider, t.kind, date_trunc('hour', now()), sum(t.count)
FROM unnest(%(mailboxes)s::text[], %(egress_ids)s::text[], %(providers)s::text[],
            %(kinds)s::text[], %(counts)s::integer[]) AS t (mailbox, egress_id, provider, kind, count)
CROSS JOIN LATERAL (VALUES ('mailbox', t.mailbox), ('egress', t.egress_id),
                           ('domain', split_part(t.mailbox, '@', 2))) AS s (scope, subject)
GROUP BY s.scope, s.subject, t.provider, t.kind
-- In one order for everybody, so that two reports never wait for one another crosswise.
ORDER BY s.scope, s.subject, t.provider, t.kind
ON CONFLICT (scope, subject, hour, provider, kind)
DO UPDATE SET count = h.count + excluded.count, changed_at = now()

-- changed --
-- Of this scope, what has counts that changed since then.
SELECT DISTINCT h.subject
FROM health_hour AS h
WHERE h.hour >= date_trunc('hour', %(since)s::timestamptz) AND h.changed_at >= %(since)s
  AND h.scope = %(scope)s
ORDER BY h.subject

-- due --
-- Of this scope, what is not good and was not judged since then, or whose time is over.
SELECT subject FROM health
WHERE scope = %(scope)s AND band <> 'good' AND (judged_at < %(before)s OR until <= %(now)s)
ORDER BY subject

-- last_judged --
-- When anything was judged last; NULL: never.
SELECT max(judged_at) FROM health

-- standings --
-- What was the verdict on these that exist (no band: none yet), locked against operators.
WITH known AS (
    SELECT address AS subject FROM mailbox
    WHERE %(scope)s = 'mailbox' AND address = ANY(%(subjects)s)
    UNION ALL
    SELECT id FROM egress WHERE %(scope)s = 'egress' AND id = ANY(%(subjects)s)
    UNION ALL
    SELECT name FROM domain WHERE %(scope)s = 'domain' AND name = ANY(%(subjects)s)
), held AS (
    SELECT * FROM health WHERE scope = %(scope)s AND subject = ANY(%(subjects)s)
    ORDER BY subject FOR UPDATE
)
SELECT k.subject, h.band, h.since, h.until, h.stops, h.stopped_at, h.counted_from, h.score, h.reason
FROM known AS k LEFT JOIN held AS h ON h.subject = k.subject
ORDER BY k.subject

-- counts --
-- The counts of these (the arrays run in parallel) in each window, from `froms` on where that is not
-- NULL. A window holds the hours and days of which any part is in it.
SELECT s.subject, c.provider, c.kind,
       coalesce(sum(c.count) FILTER (WHERE c.ends > %(now)s::timestamptz - interval '1 hour'), 0)::integer AS hour,
       coalesce(sum(c.count) FILTER (WHERE c.ends > %(now)s::timestamptz - interval '1 day'), 0)::integer AS day,
       coalesce(sum(c.count) FILTER (WHERE c.ends > %(now)s::timestamptz - interval '7 days'), 0)::integer AS week,
       sum(c.count)::integer AS month
FROM unnest(%(subjects)s::text[], %(froms)s::timestamptz[]) AS s (subject, begins)
CROSS JOIN LATERAL (
    SELECT h.provider, h.kind, h.count, h.hour + interval '1 hour' AS ends
    FROM health_hour AS h
    WHERE h.scope = %(scope)s AND h.subject = s.subject
      AND h.hour >= greatest(s.begins, %(now)s::timestamptz - interval '30 days')
    UNION ALL
    SELECT d.provider, d.kind, d.count, (d.day + 1)::timestamp AT TIME ZONE 'UTC'
    FROM health_day AS d
    WHERE d.scope = %(scope)s AND d.subject = s.subject
      AND d.day >= (greatest(s.begins, %(now)s::timestamptz - interval '30 days') AT TIME ZONE 'UTC')::date
      AND (s.begins IS NULL OR d.day > (s.begins AT TIME ZONE 'UTC')::date)
) AS c
GROUP BY s.subject, c.provider, c.kind

-- votes --
-- Of these egresses, their mailboxes; of these domains, the egresses their mailboxes send through: how
-- many there are, and which health has stopped.
SELECT g.subject, count(*) AS members,
       coalesce(array_agg(g.member ORDER BY g.member) FILTER (WHERE h.band IN ('paused', 'quarantined')),
                '{}') AS stopped
FROM (
    SELECT DISTINCT CASE %(scope)s WHEN 'egress' THEN egress_id ELSE domain END AS subject,
           CASE %(scope)s WHEN 'egress' THEN address ELSE egress_id END AS member
    FROM mailbox
    WHERE CASE %(scope)s WHEN 'egress' THEN egress_id ELSE domain END = ANY(%(subjects)s)
) AS g
LEFT JOIN health AS h
  ON h.scope = CASE %(scope)s WHEN 'egress' THEN 'mailbox' ELSE 'egress' END AND h.subject = g.member
GROUP BY g.subject

-- above --
-- The egresses of these mailboxes, or the domains that send through these egresses.
SELECT DISTINCT CASE %(scope)s WHEN 'mailbox' THEN egress_id ELSE domain END AS subject
FROM mailbox
WHERE CASE %(scope)s WHEN 'mailbox' THEN address ELSE egress_id END = ANY(%(subjects)s)
ORDER BY 1

-- keep --
-- Writes verdicts. The arrays run in parallel.
INSERT INTO health AS h (scope, subject, band, since, until, stops, stopped_at, counted_from, score,
                         reason, judged_at)
SELECT %(scope)s, t.*, %(now)s
FROM unnest(%(subjects)s::text[], %(bands)s::text[], %(sinces)s::timestamptz[],
            %(untils)s::timestamptz[], %(stops)s::integer[], %(stopped_ats)s::timestamptz[],
            %(counted_froms)s::timestamptz[], %(scores)s::double precision[], %(reasons)s::text[])
     AS t (subject, band, since, until, stops, stopped_at, counted_from, score, reason)
ON CONFLICT (scope, subject) DO UPDATE
SET band = excluded.band, since = excluded.since, until = excluded.until, stops = excluded.stops,
    stopped_at = excluded.stopped_at, counted_from = excluded.counted_from, score = excluded.score,
    reason = excluded.reason, judged_at = excluded.judged_at

-- stop --
-- Stops something until health or an operator lets it go on.
INSERT INTO suspension AS s (scope, subject, source, stage, reason, evidence)
VALUES (%(scope)s, %(subject)s, 'health', %(stage)s, %(reason)s, %(evidence)s)
ON CONFLICT (scope, subject, source) DO UPDATE
SET stage = excluded.stage, reason = excluded.reason, evidence = excluded.evidence, until = NULL

-- go_on --
-- Takes health's stop away; no other's.
DELETE FROM suspension WHERE scope = %(scope)s AND subject = %(subject)s AND source = 'health'

-- to_the_bottom_mailboxes --
-- These mailboxes, or all of these domains, warm up; gives which.
UPDATE mailbox SET state = 'warming', due_at = '-infinity'
WHERE state IN ('active', 'warming') AND CASE %(scope)s
    WHEN 'mailbox' THEN address = ANY(%(subjects)s) WHEN 'domain' THEN domain = ANY(%(subjects)s)
    ELSE false END
RETURNING address AS subject

-- to_the_bottom_egresses --
-- The same for egresses.
UPDATE egress SET state = 'warming'
WHERE state IN ('active', 'warming') AND %(scope)s = 'egress' AND id = ANY(%(subjects)s)
RETURNING id AS subject

-- first_day --
-- Their warm-ups, for all mail and toward these providers, are on their first day, of which today is
-- the first that may count.
INSERT INTO warm_up AS w (scope, subject, provider, day, judged)
SELECT %(scope)s, subject, provider, 1, (%(now)s::timestamptz AT TIME ZONE 'UTC')::date - 1
FROM unnest(%(subjects)s::text[]) AS t (subject) CROSS JOIN unnest(%(providers)s::text[]) AS p (provider)
ON CONFLICT (scope, subject, provider) DO UPDATE
SET day = 1, judged = greatest(w.judged, excluded.judged), over = false, signal = '',
    signal_reason = ''

-- step_back --
-- What warms up and was slowed right now steps back, once.
UPDATE warm_up AS w SET signal = 'back', signal_reason = h.reason
FROM health AS h
WHERE h.scope = w.scope AND h.subject = w.subject AND w.scope = %(scope)s
  AND w.subject = ANY(%(subjects)s)

-- freeze --
-- What warms up and is watched or slowed stays where it is; what is good goes on.
UPDATE warm_up AS w
SET signal = CASE WHEN h.band = 'good' THEN '' ELSE 'freeze' END,
    signal_reason = CASE WHEN h.band = 'good' THEN '' ELSE h.reason END
FROM health AS h
WHERE h.scope = w.scope AND h.subject = w.subject
  AND (h.band IN ('watch', 'slowed') AND w.signal = '' OR h.band = 'good' AND w.signal = 'freeze')

-- fold --
-- Makes days of hours of days that are over for two days, so many at a time; gives how many.
WITH old AS (
    SELECT scope, subject, hour, provider, kind FROM health_hour
    WHERE hour < (date_trunc('day', now() AT TIME ZONE 'UTC') - interval '2 days') AT TIME ZONE 'UTC'
    ORDER BY hour LIMIT %(limit)s
), gone AS (
    DELETE FROM health_hour AS h USING old AS o
    WHERE h.scope = o.scope AND h.subject = o.subject AND h.hour = o.hour
      AND h.provider = o.provider AND h.kind = o.kind
    RETURNING h.scope, h.subject, h.provider, h.kind, h.hour, h.count
), kept AS (
    INSERT INTO health_day AS d (scope, subject, provider, kind, day, count)
    SELECT scope, subject, provider, kind, (hour AT TIME ZONE 'UTC')::date, sum(count)
    FROM gone GROUP BY 1, 2, 3, 4, 5
    ON CONFLICT (scope, subject, day, provider, kind)
    DO UPDATE SET count = d.count + excluded.count
)
SELECT count(*) AS folded FROM gone

-- forget --
-- Removes days that no window reaches.
DELETE FROM health_day WHERE day < (now() AT TIME ZONE 'UTC')::date - 31

-- forget_verdicts --
-- Removes verdicts on what is not in the fleet any more.
DELETE FROM health AS h
WHERE NOT CASE h.scope
          WHEN 'mailbox' THEN EXISTS (SELECT 1 FROM mailbox WHERE address = h.subject)
          WHEN 'egress' THEN EXISTS (SELECT 1 FROM egress WHERE id = h.subject)
          ELSE EXISTS (SELECT 1 FROM domain WHERE name = h.subject) END

-- slowed --
-- Which of these are slowed.
SELECT scope, subject FROM health
WHERE band = 'slowed'
  AND (scope = 'mailbox' AND subject = ANY(%(mailboxes)s)
       OR scope = 'egress' AND subject = ANY(%(egress_ids)s)
       OR scope = 'domain' AND subject = ANY(%(domains)s))

-- bands --
-- How many are in each band that is not good, and the lowest score of each scope.
SELECT scope, band, count(*) AS subjects, min(score) AS lowest FROM health GROUP BY scope, band

-- listings --
-- Which of these egresses a large provider says is on a blocking list: rules that know this by the
-- receiver's words are called spamhaus-…
SELECT subject, stage, reason FROM suspension
WHERE scope = %(scope)s AND subject = ANY(%(subjects)s) AND source = 'shaping'
  AND stage LIKE 'spamhaus-%%' AND (until IS NULL OR until > %(now)s)
ORDER BY subject

-- list --
-- A page of those that were judged, the lowest score first.
SELECT scope, subject, band, score, since, until, reason, stops, counted_from, judged_at
FROM health
WHERE scope = %(scope)s AND (score, subject) > (%(after_score)s, %(after_subject)s)
  AND (%(band)s = '' OR band = %(band)s)
  AND (%(filter)s = '' OR position(%(filter)s in subject) > 0)
ORDER BY score, subject
LIMIT %(limit)s

-- of --
-- The verdicts on these, the arrays run in parallel.
SELECT h.scope, h.subject, h.band, h.score, h.since, h.until, h.reason, h.stops, h.counted_from,
       h.judged_at
FROM unnest(%(scopes)s::text[], %(subjects)s::text[]) WITH ORDINALITY AS t (scope, subject, n)
JOIN health AS h ON h.scope = t.scope AND h.subject = t.subject
ORDER BY t.n

-- still_stopped --
-- What stops something besides health.
SELECT concat_ws(': ', source, nullif(stage, ''), reason) AS words FROM suspension
WHERE scope = %(scope)s AND subject = %(subject)s AND source <> 'health'
  AND (until IS NULL OR until > now())
ORDER BY source
