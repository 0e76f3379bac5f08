-- charge_days --
-- Adds to what subjects used on a day; gives what they used then. The arrays run in parallel and are
-- sorted by scope, subject and day, so that two transactions never wait for one another crosswise.
INSERT INTO ledger AS l (scope, subject, day, used)
SELECT * FROM unnest(%(scopes)b::text[], %(subjects)b::text[], %(buckets)s::date[],
                     %(counts)s::integer[])
ON CONFLICT (scope, subject, day) DO UPDATE SET used = l.used + excluded.used
RETURNING scope, subject, day AS bucket, used

-- charge_hours --
-- The same for hours.
INSERT INTO ledger_hour AS l (scope, subject, hour, used)
SELECT * FROM unnest(%(scopes)b::text[], %(subjects)b::text[], %(buckets)s::timestamptz[],
                     %(counts)s::integer[])
ON CONFLICT (scope, subject, hour) DO UPDATE SET used = l.used + excluded.used
RETURNING scope, subject, hour AS bucket, used

-- used_days --
-- What these subjects used on these days; no row: nothing. The arrays run in parallel.
SELECT l.scope, l.subject, l.day AS bucket, l.used
FROM unnest(%(scopes)b::text[], %(subjects)b::text[], %(buckets)s::date[])
     AS t (scope, subject, day)
JOIN ledger AS l USING (scope, subject, day)

-- used_hours --
-- The same for hours.
SELECT l.scope, l.subject, l.hour AS bucket, l.used
FROM unnest(%(scopes)b::text[], %(subjects)b::text[], %(buckets)s::timestamptz[])
     AS t (scope, subject, hour)
JOIN ledger_hour AS l USING (scope, subject, hour)

-- refund --
-- Gives the allowance back that these messages took, each once: a message that took none, gave it
-- back before, was attempted by now, or may have been, is passed over. Gives how many gave something
-- back.
WITH charged AS (
    SELECT id, client_id || '/' || coalesce((SELECT l.campaign_id FROM campaign_lane AS l
                                             WHERE l.id = message.lane), '') AS campaign,
           client_id, mailbox, split_part(mailbox, '@', 2) AS domain, egress_id,
           charged_day AS day, charged_hour AS hour, coalesce(charged_provider, '') AS provider,
           charged_curves AS curves
    FROM message
    WHERE id = ANY(%(ids)s) AND charged_day IS NOT NULL AND attempts = 0 AND state <> 'uncertain'
    ORDER BY id
    FOR UPDATE
), cleared AS (
    UPDATE message AS m
    SET charged_day = NULL, charged_hour = NULL, charged_provider = NULL, charged_curves = false
    FROM charged AS c WHERE m.id = c.id
), returned AS (
    SELECT scope, subject, day, count(*) AS count
    FROM charged
    CROSS JOIN LATERAL (VALUES ('mailbox', mailbox, true), ('egress', egress_id, true),
                               ('domain', domain, true), ('client', client_id, true),
                               ('domain-provider', domain || '/' || provider, true),
                               ('mailbox-provider', mailbox || '/' || provider, curves),
                               ('egress-provider', egress_id || '/' || provider, curves))
        AS t (scope, subject, counted)
    WHERE counted
    GROUP BY scope, subject, day
), returned_hours AS (
    SELECT scope, subject, hour, count(*) AS count
    FROM charged
    CROSS JOIN LATERAL (VALUES ('mailbox', mailbox), ('egress', egress_id),
                               ('provider-egress', provider || '/' || egress_id),
                               ('domain-provider', domain || '/' || provider),
                               ('campaign', campaign))
        AS t (scope, subject)
    GROUP BY scope, subject, hour
), held AS (
    SELECT l.scope, l.subject, l.day, r.count
    FROM ledger AS l JOIN returned AS r USING (scope, subject, day)
    ORDER BY l.scope, l.subject, l.day
    FOR UPDATE OF l
), held_hours AS (
    SELECT l.scope, l.subject, l.hour, r.count
    FROM ledger_hour AS l JOIN returned_hours AS r USING (scope, subject, hour)
    ORDER BY l.scope, l.subject, l.hour
    FOR UPDATE OF l
), given AS (
    UPDATE ledger AS l SET used = greatest(0, l.used - h.count)
    FROM held AS h
    WHERE l.scope = h.scope AND l.subject = h.subject AND l.day = h.day
), given_hours AS (
    UPDATE ledger_hour AS l SET used = greatest(0, l.used - h.count)
    FROM held_hours AS h
    WHERE l.scope = h.scope AND l.subject = h.subject AND l.hour = h.hour
)
SELECT count(*) AS refunded FROM charged

-- forget_hours --
-- Removes what was used in hours before this one.
DELETE FROM ledger_hour WHERE hour < %(before)s

-- forget_days --
-- Removes what was used on days before this one.
DELETE FROM ledger WHERE day < %(before)s
