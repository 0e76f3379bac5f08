-- campaign --
-- A campaign with its client, whose clock tells days; and how much of it has a time or is on nodes.
SELECT c.id, c.client_id, c.state, k.retired, k.per_day, k.windows, k.time_zone,
       (SELECT count(*) FROM campaign_lane AS l JOIN message AS m ON m.lane = l.id AND m.lane > 0
        WHERE l.campaign_id = c.id AND m.state IN ('scheduled', 'dispatched', 'queued')) AS under_way
FROM campaign AS c JOIN client AS k ON k.id = c.client_id
WHERE c.id = %(id)s

-- lanes --
-- The lanes of a client's campaigns that run, and of the one that is asked about.
SELECT l.id, l.campaign_id, l.time_zone, l.follow_up, c.priority, c.burst_per_hour, c.windows,
       c.domains, c.mailboxes, c.delays_days
FROM campaign AS c
JOIN campaign_lane AS l ON l.campaign_id = c.id
WHERE c.client_id = %(client_id)s AND (c.state = 'running' OR c.id = %(id)s)
ORDER BY l.id

-- boxes --
-- A client's mailboxes; `sends`: by their states; `stopped`: by somebody, `until` when, where that is
-- known.
SELECT b.address, b.display_name, b.egress_id, b.domain, d.time_zone, b.seed,
       nullif(b.due_at, '-infinity') AS due_at, b.slot_at, b.held, b.held_since, b.held_until,
       coalesce(h.score, 100) AS score,
       coalesce(warm_up_day(b.state, b.address, e.state, e.id) <= %(internal_days)s, false) AS internal,
       b.state IN ('active', 'warming') AND d.state IN ('active', 'warming')
           AND e.state IN ('active', 'warming') AS sends,
       s.stopped, s.until
FROM mailbox AS b
LEFT JOIN health AS h ON h.scope = 'mailbox' AND h.subject = b.address
JOIN domain AS d ON d.name = b.domain
JOIN egress AS e ON e.id = b.egress_id
CROSS JOIN LATERAL (
    SELECT count(*) > 0 AS stopped,
           CASE WHEN count(*) = count(x.until) THEN max(x.until) END AS until
    FROM suspension AS x
    WHERE (x.until IS NULL OR x.until > %(now)s)
      AND (x.scope, x.subject) IN (('client', b.client_id), ('domain', b.domain),
                                   ('egress', b.egress_id), ('mailbox', b.address))
) AS s
WHERE b.client_id = %(client_id)s
ORDER BY b.address

-- heaps --
-- What waits of a client, warm-up mail apart, in heaps of equal messages. `at`: from when on it may go,
-- by the hour.
SELECT coalesce(l.campaign_id, '') AS campaign_id, coalesce(l.time_zone, '') AS time_zone,
       CASE WHEN l.follow_up THEN coalesce(r.step, 1) ELSE 0 END AS step,
       coalesce(m.provider, 'unknown') AS provider, m.mailbox, m.charged_day IS NOT NULL AS charged,
       CASE WHEN m.not_before <= %(now)s THEN %(now)s
            ELSE date_trunc('hour', m.not_before) + interval '1 hour' END AS at,
       count(*) AS count
FROM message AS m
LEFT JOIN campaign_lane AS l ON l.id = m.lane
LEFT JOIN campaign_recipient AS r
  ON l.follow_up AND r.campaign_id = l.campaign_id AND r.recipient = lower(m.recipient)
WHERE m.client_id = %(client_id)s AND m.state = 'accepted' AND m.lane >= 0
GROUP BY 1, 2, 3, 4, 5, 6, 7
ORDER BY 7, 1, 2, 3, 4, 5

-- following --
-- Follow-ups of a client's campaigns that are to come after messages that wait no more, in heaps; what
-- is on its way is taken to be sent now. `at`: by the hour.
SELECT c.id AS campaign_id, r.time_zone, r.step + 1 AS step,
       coalesce(m.provider, 'unknown') AS provider, coalesce(r.mailbox, m.mailbox) AS mailbox,
       date_trunc('hour', greatest(%(now)s, coalesce(
           r.next_at,
           greatest(%(now)s, m.not_before) + make_interval(days => c.delays_days[r.step + 1])))) AS at,
       count(*) AS count
FROM campaign AS c
JOIN campaign_recipient AS r ON r.campaign_id = c.id AND r.state = 'open'
JOIN message AS m ON m.id = r.message_id AND m.state <> 'accepted'
WHERE c.client_id = %(client_id)s AND (c.state = 'running' OR c.id = %(id)s)
  AND r.step < cardinality(c.delays_days) AND coalesce(r.mailbox, m.mailbox) IS NOT NULL
GROUP BY 1, 2, 3, 4, 5, 6
ORDER BY 6, 1, 2, 3, 4, 5

-- providers --
-- The providers of these domains, as the messages to them get them; of those that were looked up.
SELECT domain, CASE WHEN position('.' IN receiver) > 0 THEN 'other' ELSE receiver END AS provider
FROM mail_domain WHERE domain = ANY(%(domains)b::text[])
