-- clients_waiting --
-- Clients with messages in `accepted`.
SELECT c.id, c.priority
FROM client AS c
WHERE EXISTS (SELECT 1 FROM message AS m
              WHERE m.client_id = c.id AND m.state = 'accepted' AND m.mailbox IS NULL)
   OR EXISTS (SELECT 1 FROM message AS m
              WHERE m.client_id = c.id AND m.state = 'accepted' AND m.mailbox IS NOT NULL)
ORDER BY c.id

-- lock_client --
-- A client for its turn. No row: another planner is at work on it. The lock leaves intake's
-- references to the client alone.
SELECT id, windows, per_day, retired FROM client WHERE id = %(id)s FOR NO KEY UPDATE SKIP LOCKED

-- lanes --
-- The lanes of a client's campaigns that run.
SELECT l.id, l.campaign_id, l.time_zone, l.follow_up, c.priority, c.burst_per_hour, c.windows,
       c.domains, c.mailboxes
FROM campaign AS c
JOIN campaign_lane AS l ON l.campaign_id = c.id
WHERE c.client_id = %(client_id)s AND c.state = 'running'
ORDER BY l.id

-- boxes_for_any --
-- The mailboxes of a client that nothing stops, that may send its mail and whose slots are due, the
-- longest due first; only those on these domains and with these addresses where `domains` is not NULL.
WITH stopped AS (
    SELECT scope, subject FROM suspension WHERE until IS NULL OR until > %(now)s
)
SELECT b.address, b.display_name, b.egress_id, b.domain, d.time_zone, b.seed,
       nullif(b.due_at, '-infinity') AS due_at, b.slot_at, b.held, b.held_since, b.held_until,
       coalesce(h.score, 100) AS score,
       coalesce(warm_up_day(b.state, b.address, e.state, e.id) <= %(internal_days)s, false) AS internal
FROM mailbox AS b
LEFT JOIN health AS h ON h.scope = 'mailbox' AND h.subject = b.address
JOIN domain AS d ON d.name = b.domain
JOIN egress AS e ON e.id = b.egress_id
WHERE b.client_id = %(client_id)s AND b.due_at <= %(until)s
  AND b.state IN ('active', 'warming') AND d.state IN ('active', 'warming')
  AND e.state IN ('active', 'warming')
  AND (b.egress_id, 'egress') NOT IN (SELECT subject, scope FROM stopped)
  AND (b.address, 'mailbox') NOT IN (SELECT subject, scope FROM stopped)
  AND (b.domain, 'domain') NOT IN (SELECT subject, scope FROM stopped)
  AND (b.client_id, 'client') NOT IN (SELECT subject, scope FROM stopped)
  AND coalesce(warm_up_day(b.state, b.address, e.state, e.id) > %(internal_days)s, true)
  AND (%(domains)s::text[] IS NULL OR b.domain = ANY(%(domains)s) OR b.address = ANY(%(mailboxes)s))
ORDER BY b.due_at, b.address
LIMIT %(limit)s

-- boxes_with_own --
-- Of the same, with those that may send warm-up mail alone, those for which messages wait, in these
-- lanes, that name them.
WITH RECURSIVE stopped AS (
    SELECT scope, subject FROM suspension WHERE until IS NULL OR until > %(now)s
), queue (lane, provider) AS (
    SELECT l.lane, (SELECT coalesce(m.provider, 'unknown') FROM message AS m
                    WHERE m.client_id = %(client_id)s AND m.lane = l.lane
                      AND m.state = 'accepted' AND m.mailbox IS NOT NULL
                    ORDER BY coalesce(m.provider, 'unknown') LIMIT 1)
    FROM unnest(%(lanes)s::integer[]) AS l (lane)
    UNION ALL
    SELECT q.lane, (SELECT coalesce(m.provider, 'unknown') FROM message AS m
                    WHERE m.client_id = %(client_id)s AND m.lane = q.lane
                      AND m.state = 'accepted' AND m.mailbox IS NOT NULL
                      AND coalesce(m.provider, 'unknown') > q.provider
                    ORDER BY coalesce(m.provider, 'unknown') LIMIT 1)
    FROM queue AS q WHERE q.provider IS NOT NULL
)
SELECT b.address, b.display_name, b.egress_id, b.domain, d.time_zone, b.seed,
       nullif(b.due_at, '-infinity') AS due_at, b.slot_at, b.held, b.held_since, b.held_until,
       coalesce(h.score, 100) AS score,
       coalesce(warm_up_day(b.state, b.address, e.state, e.id) <= %(internal_days)s, false) AS internal
FROM mailbox AS b
LEFT JOIN health AS h ON h.scope = 'mailbox' AND h.subject = b.address
JOIN domain AS d ON d.name = b.domain
JOIN egress AS e ON e.id = b.egress_id
WHERE b.client_id = %(client_id)s AND b.due_at <= %(until)s
  AND b.state IN ('active', 'warming') AND d.state IN ('active', 'warming')
  AND e.state IN ('active', 'warming')
  AND (b.egress_id, 'egress') NOT IN (SELECT subject, scope FROM stopped)
  AND (b.address, 'mailbox') NOT IN (SELECT subject, scope FROM stopped)
  AND (b.domain, 'domain') NOT IN (SELECT subject, scope FROM stopped)
  AND (b.client_id, 'client') NOT IN (SELECT subject, scope FROM stopped)
  AND EXISTS (SELECT 1
              FROM queue AS q
              CROSS JOIN LATERAL (
                  SELECT 1 FROM message AS m
                  WHERE m.client_id = %(client_id)s AND m.lane = q.lane AND m.state = 'accepted'
                    AND coalesce(m.provider, 'unknown') = q.provider AND m.mailbox = b.address
                    AND m.not_before <= %(until)s
                  LIMIT 1
              ) AS found
              WHERE q.lane = -1
                 OR coalesce(warm_up_day(b.state, b.address, e.state, e.id) > %(internal_days)s, true))
ORDER BY b.due_at, b.address
LIMIT %(limit)s

-- own_heads --
-- The oldest due messages in these lanes that name one of these mailboxes, so many for each mailbox,
-- lane and provider.
WITH RECURSIVE queue (lane, provider) AS (
    SELECT l.lane, (SELECT coalesce(m.provider, 'unknown') FROM message AS m
                    WHERE m.client_id = %(client_id)s AND m.lane = l.lane
                      AND m.state = 'accepted' AND m.mailbox IS NOT NULL
                    ORDER BY coalesce(m.provider, 'unknown') LIMIT 1)
    FROM unnest(%(lanes)s::integer[]) AS l (lane)
    UNION ALL
    SELECT q.lane, (SELECT coalesce(m.provider, 'unknown') FROM message AS m
                    WHERE m.client_id = %(client_id)s AND m.lane = q.lane
                      AND m.state = 'accepted' AND m.mailbox IS NOT NULL
                      AND coalesce(m.provider, 'unknown') > q.provider
                    ORDER BY coalesce(m.provider, 'unknown') LIMIT 1)
    FROM queue AS q WHERE q.provider IS NOT NULL
)
SELECT w.id, w.mailbox, w.lane, w.provider, w.not_before, w.charged, w.reason
FROM queue AS q
CROSS JOIN unnest(%(addresses)b::text[]) AS a (address)
CROSS JOIN LATERAL (
    SELECT m.id, m.mailbox, m.lane, q.provider, m.not_before, m.charged_day IS NOT NULL AS charged,
           m.reason
    FROM message AS m
    WHERE m.client_id = %(client_id)s AND m.lane = q.lane AND m.state = 'accepted'
      AND coalesce(m.provider, 'unknown') = q.provider AND m.mailbox = a.address AND m.not_before <= %(until)s
    ORDER BY m.not_before, m.id
    LIMIT %(each)s
) AS w

-- heads_for_any --
-- The oldest due messages in these lanes for which the planner chooses the mailbox, so many for each
-- lane and provider.
WITH RECURSIVE queue (lane, provider) AS (
    SELECT l.lane, (SELECT coalesce(m.provider, 'unknown') FROM message AS m
                    WHERE m.client_id = %(client_id)s AND m.lane = l.lane
                      AND m.state = 'accepted' AND m.mailbox IS NULL
                    ORDER BY coalesce(m.provider, 'unknown') LIMIT 1)
    FROM unnest(%(lanes)s::integer[]) AS l (lane)
    UNION ALL
    SELECT q.lane, (SELECT coalesce(m.provider, 'unknown') FROM message AS m
                    WHERE m.client_id = %(client_id)s AND m.lane = q.lane
                      AND m.state = 'accepted' AND m.mailbox IS NULL
                      AND coalesce(m.provider, 'unknown') > q.provider
                    ORDER BY coalesce(m.provider, 'unknown') LIMIT 1)
    FROM queue AS q WHERE q.provider IS NOT NULL
)
SELECT w.id, w.mailbox, w.lane, w.provider, w.not_before, w.charged, w.reason
FROM queue AS q
CROSS JOIN LATERAL (
    SELECT m.id, m.mailbox, m.lane, q.provider, m.not_before, m.charged_day IS NOT NULL AS charged,
           m.reason
    FROM message AS m
    WHERE m.client_id = %(client_id)s AND m.lane = q.lane AND m.state = 'accepted'
      AND coalesce(m.provider, 'unknown') = q.provider AND m.mailbox IS NULL AND m.not_before <= %(until)s
    ORDER BY m.not_before, m.id
    LIMIT %(each)s
) AS w

-- schedule --
-- Gives messages that still wait their mailbox, egress and time; tells which. One that was charged
-- before keeps that. The arrays run in parallel.
UPDATE message AS m
SET state = 'scheduled', mailbox = t.mailbox, egress_id = t.egress_id,
    not_before = greatest(m.not_before, t.at),
    charged_day = coalesce(m.charged_day, t.day), charged_hour = coalesce(m.charged_hour, t.hour),
    charged_provider = coalesce(m.charged_provider, t.provider),
    charged_curves = CASE WHEN m.charged_day IS NULL THEN t.curved ELSE m.charged_curves END,
    reason = ''
FROM unnest(%(ids)b::text[], %(mailboxes)b::text[], %(egress_ids)b::text[],
            %(ats)s::timestamptz[], %(days)s::date[], %(hours)s::timestamptz[],
            %(providers)b::text[], %(curved)s::boolean[])
     AS t (id, mailbox, egress_id, at, day, hour, provider, curved)
WHERE m.id = t.id AND m.state = 'accepted'
RETURNING m.id

-- add_from --
-- Puts the From line of the chosen mailbox before the header lines added so far.
UPDATE message_content AS c
SET added = t.line || c.added
FROM unnest(%(ids)b::text[], %(lines)s::bytea[]) AS t (id, line)
WHERE c.message_id = t.id

-- keep_slots --
-- Writes the slots of mailboxes. The arrays run in parallel.
UPDATE mailbox AS b
SET due_at = t.due_at, slot_at = t.slot_at, held = t.held, held_since = t.held_since,
    held_until = t.held_until, drawn_at = now()
FROM unnest(%(addresses)b::text[], %(due_ats)s::timestamptz[], %(slot_ats)s::timestamptz[],
            %(helds)b::text[], %(held_sinces)s::timestamptz[], %(held_untils)s::timestamptz[])
     AS t (address, due_at, slot_at, held, held_since, held_until)
WHERE b.address = t.address

-- unexplained --
-- Due messages that wait and do not say why, the oldest first.
SELECT id, mailbox, lane, reason
FROM message
WHERE client_id = %(client_id)s AND state = 'accepted' AND reason = '' AND not_before <= %(until)s
ORDER BY not_before, id
LIMIT %(limit)s

-- stopped --
-- Mailboxes of a client that cannot use a slot now, with the widest cause: those of `addresses`, or
-- where it is empty any of them, at most `limit`. `warm_up_day`: where all that it may send is warm-up
-- mail.
SELECT * FROM (
    SELECT b.address, b.held,
           coalesce(
               CASE WHEN c.retired THEN format('client %%s left the inventory', c.id) END,
               (SELECT format('%%s %%s is suspended: %%s', s.scope, s.subject, s.reason)
                FROM suspension AS s
                WHERE (s.until IS NULL OR s.until > %(now)s)
                  AND (s.scope, s.subject) IN (('client', b.client_id), ('domain', b.domain),
                                               ('egress', b.egress_id), ('mailbox', b.address))
                ORDER BY array_position(ARRAY['client', 'domain', 'egress', 'mailbox'], s.scope),
                         s.id
                LIMIT 1),
               CASE WHEN d.state NOT IN ('active', 'warming') THEN format('domain %%s is %%s', d.name, d.state)
                    WHEN e.state NOT IN ('active', 'warming') THEN format('egress %%s is %%s', e.id, e.state)
                    WHEN b.state NOT IN ('active', 'warming') THEN format('mailbox %%s is %%s', b.address, b.state)
                    ELSE '' END) AS stop,
           CASE WHEN warm_up_day(b.state, b.address, e.state, e.id) <= %(internal_days)s
                THEN warm_up_day(b.state, b.address, e.state, e.id) END AS internal_day
    FROM mailbox AS b
    JOIN client AS c ON c.id = b.client_id
    JOIN domain AS d ON d.name = b.domain
    JOIN egress AS e ON e.id = b.egress_id
    WHERE b.client_id = %(client_id)s
      AND (%(addresses)s::text[] = '{}' OR b.address = ANY(%(addresses)s))
) AS each
WHERE stop <> '' OR held <> '' OR internal_day IS NOT NULL
ORDER BY address
LIMIT %(limit)s

-- count_mailboxes --
-- How many mailboxes a client has.
SELECT count(*) AS mailboxes FROM mailbox WHERE client_id = %(client_id)s

-- explain --
-- Writes why messages wait. The arrays run in parallel.
UPDATE message AS m
SET reason = t.reason
FROM unnest(%(ids)s::text[], %(reasons)s::text[]) AS t (id, reason)
WHERE m.id = t.id AND m.state = 'accepted' AND m.reason <> t.reason

-- overdue --
-- Messages planned for an hour that is over, that no node has and that were never attempted; locked.
SELECT id
FROM message
WHERE state = 'scheduled' AND charged_hour < %(hour)s AND attempts = 0
ORDER BY charged_hour, id
LIMIT %(limit)s
FOR UPDATE SKIP LOCKED

-- unplan --
-- Takes the planner's choice back. The mailbox stays: From may say it already. A slot's time goes with
-- the slot; that at which a receiver is to be tried again stays.
UPDATE message
SET state = 'accepted', egress_id = NULL, reason = %(reason)s,
    not_before = CASE WHEN attempts = 0 THEN coalesce(wanted_at, accepted_at) ELSE not_before END
WHERE id = ANY(%(ids)s) AND state = 'scheduled'

-- draw_slots --
-- The slots of all mailboxes are drawn anew, counted from the last one each used.
UPDATE mailbox SET due_at = '-infinity' WHERE due_at <> '-infinity'

-- receivers_limits --
-- How much receivers let these egresses and domains send them an hour, and whom they do not let; and
-- when that changes by itself: a stop ends (NULL: when somebody ends it), a slow rate doubles.
SELECT r.scope, r.provider, r.subject, floor(least(r.per_hour, 1000000))::integer AS per_hour,
       CASE WHEN s.stops > 0 THEN s.until
            ELSE d.since + make_interval(
                hours => hours_until_faster(quiet_hours(d.since), d.rests_after))
       END AS changes_at
FROM rate_limit AS r
LEFT JOIN slow_down AS d
  ON d.scope = r.scope AND d.provider = r.provider AND d.subject = r.subject
CROSS JOIN LATERAL (
    SELECT count(*) AS stops, nullif(max(coalesce(until, 'infinity')), 'infinity') AS until
    FROM suspension
    WHERE scope = r.scope AND subject = r.provider || '/' || r.subject
      AND (until IS NULL OR until > now())
) AS s
WHERE (r.scope = 'provider-egress' AND r.subject = ANY(%(egress_ids)s))
   OR (r.scope = 'provider-domain' AND r.subject = ANY(%(domains)s))
