-- mailbox --
-- A mailbox with all that the planner knows of it, and where its egress is.
SELECT b.address, b.display_name, b.egress_id, b.domain, b.client_id, d.time_zone, b.seed,
       nullif(b.due_at, '-infinity') AS due_at, b.slot_at, b.held, b.held_since, b.held_until,
       b.state, d.state AS domain_state, e.state AS egress_state, c.retired AS client_retired,
       c.windows, c.per_day, coalesce(a.node_id, '') AS node_id, coalesce(n.connected, false)
           AS node_connected, coalesce(a.state, '') AS assignment,
       warm_up_day(b.state, b.address, e.state, e.id),
       (SELECT count(*) FROM mailbox AS o
        WHERE o.address <> b.address AND o.state IN ('active', 'warming')
          AND (o.client_id = b.client_id OR %(across_clients)s)) AS correspondents
FROM mailbox AS b
JOIN client AS c ON c.id = b.client_id
JOIN domain AS d ON d.name = b.domain
JOIN egress AS e ON e.id = b.egress_id
LEFT JOIN assignment AS a ON a.egress_id = b.egress_id
LEFT JOIN node AS n ON n.id = a.node_id
WHERE b.address = %(address)s

-- suspensions --
-- What is suspended of these scopes and subjects, which run in parallel.
SELECT s.scope, s.subject, s.source, concat_ws(': ', nullif(s.stage, ''), s.reason) AS reason,
       s.since, s.until
FROM unnest(%(scopes)s::text[], %(subjects)s::text[]) WITH ORDINALITY AS t (scope, subject, number)
JOIN suspension AS s USING (scope, subject)
WHERE s.until IS NULL OR s.until > %(now)s
ORDER BY t.number, s.id

-- providers --
-- Providers to which this egress sent in this hour, or of which somebody slowed it or its domain.
SELECT split_part(subject, '/', 1) AS provider
FROM ledger_hour
WHERE scope = 'provider-egress' AND hour = %(hour)s AND subject LIKE '%%/' || %(egress_id)s::text
UNION
SELECT provider FROM rate_limit
WHERE (scope = 'provider-egress' AND subject = %(egress_id)s)
   OR (scope = 'provider-domain' AND subject = %(domain)s)
ORDER BY 1

-- slow_downs --
-- Why a receiver wants these slower.
SELECT scope, provider, subject, reason
FROM slow_down
WHERE (scope = 'provider-egress' AND subject = %(egress_id)s)
   OR (scope = 'provider-domain' AND subject = %(domain)s)

-- waiting --
-- How many due messages wait for this mailbox, and for any of its client's; counted up to a thousand.
-- `internal`: it may send warm-up mail alone.
SELECT (SELECT count(*) FROM (SELECT 1 FROM message AS m
                              WHERE m.client_id = %(client_id)s AND m.state = 'accepted'
                                AND m.mailbox = %(address)s AND m.not_before <= %(until)s
                                AND (m.lane = -1 OR NOT %(internal)s)
                              LIMIT 1000) AS own) AS own,
       (SELECT count(*) FROM (SELECT 1 FROM message AS m
                              WHERE m.client_id = %(client_id)s AND m.state = 'accepted'
                                AND m.mailbox IS NULL AND m.not_before <= %(until)s
                                AND NOT %(internal)s
                              LIMIT 1000) AS shared) AS shared

-- message --
-- A message, as far as it says why it waits.
SELECT id, client_id, lane, mailbox, recipient, coalesce(provider, 'unknown') AS provider, state,
       not_before, accepted_at, attempts, reason, egress_id, node_id, queue_id, final_at,
       charged_day
FROM message WHERE id = %(id)s

-- ahead --
-- How many messages are before this one in its queue; counted up to a thousand.
SELECT count(*) AS ahead
FROM (SELECT 1 FROM message AS m
      WHERE m.client_id = %(client_id)s AND m.lane = %(lane)s AND m.state = 'accepted'
        AND coalesce(m.provider, 'unknown') = %(provider)s
        AND m.mailbox IS NOT DISTINCT FROM %(mailbox)s
        AND (m.not_before, m.id) < (%(not_before)s, %(id)s)
      LIMIT 1000) AS before

-- next_box --
-- The mailbox of a client whose slot comes first of those that nothing stops from sending its mail; how
-- many it has.
WITH stopped AS (
    SELECT scope, subject FROM suspension WHERE until IS NULL OR until > %(now)s
)
SELECT b.address, (SELECT count(*) FROM mailbox AS o WHERE o.client_id = b.client_id) AS mailboxes
FROM mailbox AS b
JOIN domain AS d ON d.name = b.domain
JOIN egress AS e ON e.id = b.egress_id
WHERE b.client_id = %(client_id)s
ORDER BY b.state IN ('active', 'warming') AND d.state IN ('active', 'warming')
         AND e.state IN ('active', 'warming')
         AND coalesce(warm_up_day(b.state, b.address, e.state, e.id) > %(internal_days)s, true)
         AND NOT EXISTS (SELECT 1 FROM stopped AS s
                         WHERE (s.scope, s.subject) IN (
                             ('client', b.client_id), ('domain', b.domain),
                             ('egress', b.egress_id), ('mailbox', b.address))) DESC,
         b.held <> '', b.due_at, b.address
LIMIT 1

-- egress --
-- An egress with where it is and what its last probe said.
SELECT e.id AS egress_id, e.client_id, e.state, c.retired AS client_retired,
       coalesce(a.node_id, '') AS node_id, coalesce(a.state, '') AS assignment,
       coalesce(n.connected, false) AS node_connected, s.to_node AS move_to,
       s.reason AS move_reason, s.began_at AS move_since, p.node_id AS probed_by, p.at AS probed_at,
       p.healthy, p.stage, p.detail
FROM egress AS e
JOIN client AS c ON c.id = e.client_id
LEFT JOIN assignment AS a ON a.egress_id = e.id
LEFT JOIN node AS n ON n.id = a.node_id
LEFT JOIN shard_move AS s ON s.egress_id = e.id
LEFT JOIN probe AS p ON p.egress_id = e.id
WHERE e.id = %(id)s

-- campaign --
-- A campaign with its client, and the recipients it has by state.
SELECT c.id, c.client_id, c.state, c.reason, c.changed_at, c.changed_by, c.priority,
       c.burst_per_hour, c.windows, c.domains, c.mailboxes, k.retired AS client_retired,
       (SELECT coalesce(sum(h.used), 0) FROM ledger_hour AS h
        WHERE h.scope = 'campaign' AND h.subject = c.client_id || '/' || c.id
          AND h.hour = %(hour)s)::bigint AS used,
       r.recipients, r.next, r.next_at
FROM campaign AS c
JOIN client AS k ON k.id = c.client_id
CROSS JOIN LATERAL (
    SELECT count(*) AS recipients, count(x.next_at) FILTER (WHERE x.state = 'open') AS next,
           min(x.next_at) FILTER (WHERE x.state = 'open') AS next_at
    FROM campaign_recipient AS x WHERE x.campaign_id = c.id
) AS r
WHERE c.id = %(id)s

-- campaign_lanes --
-- Its lanes: how many messages wait in each, and for how many of them nobody looked up the provider.
SELECT l.id, l.time_zone, l.follow_up, w.waiting, w.unknown, w.scheduled
FROM campaign_lane AS l
CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE m.state = 'accepted') AS waiting,
           count(*) FILTER (WHERE m.state = 'accepted' AND m.provider IS NULL) AS unknown,
           count(*) FILTER (WHERE m.state = 'scheduled') AS scheduled
    FROM message AS m
    WHERE m.lane = l.id AND m.lane > 0 AND m.state IN ('accepted', 'scheduled')
) AS w
WHERE l.campaign_id = %(id)s
ORDER BY l.id

-- campaign_rivals --
-- Other campaigns of the client that run and have mail waiting, and whether single messages wait.
SELECT c.id, c.priority
FROM campaign AS c
WHERE c.client_id = %(client_id)s AND c.state = 'running' AND c.id <> %(id)s
  AND EXISTS (SELECT 1 FROM campaign_lane AS l JOIN message AS m ON m.lane = l.id AND m.lane > 0
              WHERE l.campaign_id = c.id AND m.state = 'accepted')
UNION ALL
SELECT '', 100
WHERE EXISTS (SELECT 1 FROM message AS m
              WHERE m.client_id = %(client_id)s AND m.lane = 0 AND m.state = 'accepted')
ORDER BY 1

-- campaign_boxes --
-- The mailboxes of a pool (all of the client's where `domains` is NULL) by what keeps each from
-- sending the campaign's mail now ('': nothing), what is widest first; until when.
WITH stopped AS (
    SELECT scope, subject, source, until FROM suspension
    WHERE scope IN ('mailbox', 'domain', 'egress', 'client')
      AND (until IS NULL OR until > %(now)s)
), pool AS (
    SELECT b.*, d.state AS domain_state, e.state AS egress_state, a.state AS assignment,
           n.connected, s.scope, s.source, s.until,
           warm_up_day(b.state, b.address, e.state, e.id) AS warm_up_day
    FROM mailbox AS b
    JOIN domain AS d ON d.name = b.domain
    JOIN egress AS e ON e.id = b.egress_id
    LEFT JOIN assignment AS a ON a.egress_id = b.egress_id
    LEFT JOIN node AS n ON n.id = a.node_id
    LEFT JOIN LATERAL (
        SELECT * FROM stopped AS x
        WHERE (x.scope, x.subject) IN (('client', b.client_id), ('domain', b.domain),
                                       ('egress', b.egress_id), ('mailbox', b.address))
        ORDER BY array_position('{client,domain,egress,mailbox}', x.scope)
        LIMIT 1
    ) AS s ON true
    WHERE b.client_id = %(client_id)s
      AND (%(domains)s::text[] IS NULL OR b.domain = ANY(%(domains)s)
           OR b.address = ANY(%(mailboxes)s))
)
SELECT why, count(*) AS count, min(address) AS example, min(until) AS until
FROM (
    SELECT p.address,
           CASE
               WHEN p.scope IS NOT NULL THEN format('%%s suspended by %%s', p.scope, p.source)
               WHEN p.domain_state NOT IN ('active', 'warming') THEN 'domain is ' || p.domain_state
               WHEN p.egress_state NOT IN ('active', 'warming') THEN 'egress is ' || p.egress_state
               WHEN p.state NOT IN ('active', 'warming') THEN 'mailbox is ' || p.state
               WHEN p.warm_up_day <= %(internal_days)s THEN 'internal days of a warm-up'
               WHEN p.assignment IS DISTINCT FROM 'assigned' THEN 'its egress is on no node'
               WHEN NOT p.connected THEN 'the node of its egress is not connected'
               WHEN p.held <> '' AND p.held_until > %(now)s
               THEN regexp_replace(p.held, '(mailbox|egress|domain|client) \S+', '\1')
               ELSE ''
           END AS why,
           CASE WHEN p.scope IS NOT NULL THEN p.until
                WHEN p.held_until > %(now)s THEN p.held_until END AS until
    FROM pool AS p
) AS t
GROUP BY why
ORDER BY why = '' DESC, count DESC, why
