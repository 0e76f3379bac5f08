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
