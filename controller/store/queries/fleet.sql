-- summary --
-- The fleet in numbers.
SELECT (SELECT count(*) FROM client WHERE NOT retired) AS clients,
       (SELECT count(*) FROM domain) AS domains,
       (SELECT count(*) FROM mailbox) AS mailboxes,
       (SELECT count(*) FROM egress WHERE state <> 'retired') AS egresses,
       (SELECT count(*) FROM node) AS nodes,
       (SELECT count(*) FROM node WHERE connected) AS nodes_connected,
       (SELECT count(*) FROM assignment WHERE state = 'assigned') AS egresses_assigned,
       (SELECT count(DISTINCT e.id)
        FROM egress AS e
        JOIN suspension AS s ON (s.scope = 'egress' AND s.subject = e.id)
                             OR (s.scope = 'client' AND s.subject = e.client_id)
        WHERE s.until IS NULL OR s.until > now()) AS egresses_suspended

-- message_counts --
-- Messages by state, and those of them that were deferred and are not final.
SELECT state, count(*) AS messages,
       count(*) FILTER (WHERE attempts > 0 AND final_at IS NULL) AS deferred
FROM message GROUP BY state

-- nodes --
-- A page of nodes with what they hold.
SELECT n.id, host(n.address) AS address, n.capacity, n.failure_domain, n.wanted_generation,
       n.running_generation, n.spec_error, n.spooled, n.queued, n.deferred, n.last_seen,
       n.agent_version, n.cordoned, n.decommissioned, n.fenced, n.draining, n.connected,
       n.certificate_sha256 IS NOT NULL AS enrolled,
       coalesce(l.epoch, 0) AS epoch, coalesce(l.held, false) AS lease_valid,
       held.egresses, held.mailboxes
FROM node AS n
LEFT JOIN lease AS l ON l.node_id = n.id
CROSS JOIN LATERAL (
    SELECT count(DISTINCT a.egress_id) AS egresses, count(m.address) AS mailboxes
    FROM assignment AS a LEFT JOIN mailbox AS m ON m.egress_id = a.egress_id
    WHERE a.node_id = n.id
) AS held
WHERE n.id > %(after)s
  AND (%(id)s = '' OR n.id = %(id)s)
  AND (%(filter)s = '' OR position(%(filter)s in n.id) > 0)
  AND (%(node_id)s = '' OR n.id = %(node_id)s)
  AND (%(client_id)s = '' OR EXISTS (
        SELECT 1 FROM assignment AS a JOIN egress AS e ON e.id = a.egress_id
        WHERE a.node_id = n.id AND e.client_id = %(client_id)s))
ORDER BY n.id
LIMIT %(limit)s

-- mailboxes --
-- A page of mailboxes with where they are, what they sent on their local day, and what stops them.
SELECT m.address, m.client_id, m.egress_id, coalesce(a.node_id, '') AS node_id,
       coalesce(l.used, 0) AS sent_today, m.state, coalesce(w.day, 1) AS warm_up_day,
       coalesce((SELECT format('%%s %%s suspended by %%s: %%s', s.scope, s.subject, s.source,
                               concat_ws(': ', nullif(s.stage, ''), s.reason))
                 FROM suspension AS s
                 WHERE (s.until IS NULL OR s.until > now())
                   AND (s.scope, s.subject) IN (('client', m.client_id), ('domain', m.domain),
                                                ('egress', m.egress_id), ('mailbox', m.address))
                 ORDER BY s.id LIMIT 1), '') AS reason
FROM mailbox AS m
JOIN domain AS d ON d.name = m.domain
LEFT JOIN assignment AS a ON a.egress_id = m.egress_id
LEFT JOIN warm_up AS w ON w.scope = 'mailbox' AND w.subject = m.address AND w.provider = ''
LEFT JOIN ledger AS l ON l.scope = 'mailbox' AND l.subject = m.address
                     AND l.day = (now() AT TIME ZONE d.time_zone)::date
WHERE m.address > %(after)s
  AND (%(id)s = '' OR m.address = %(id)s)
  AND (%(filter)s = '' OR position(%(filter)s in m.address) > 0)
  AND (%(client_id)s = '' OR m.client_id = %(client_id)s)
  AND (%(node_id)s = '' OR a.node_id = %(node_id)s)
ORDER BY m.address
LIMIT %(limit)s

-- egresses --
-- A page of egresses with where they are, what was used on the client's local day, and what stops
-- them.
SELECT e.id, e.client_id, e.kind, e.host, e.port, e.only_node, host(e.public_ip) AS public_ip,
       e.helo_name, coalesce(a.node_id, '') AS node_id, coalesce(a.state, '') AS assignment,
       coalesce(l.used, 0) AS used_today, e.state, coalesce(w.day, 1) AS warm_up_day,
       p.at AS probed_at, p.healthy, p.stage,
       p.detail,
       (SELECT count(*) FROM mailbox AS m WHERE m.egress_id = e.id) AS mailboxes,
       coalesce((SELECT format('%%s by %%s: %%s',
                               CASE WHEN s.scope = 'egress' THEN 'suspended'
                                    ELSE 'client suspended' END,
                               s.source, concat_ws(': ', nullif(s.stage, ''), s.reason))
                 FROM suspension AS s
                 WHERE (s.until IS NULL OR s.until > now())
                   AND (s.scope, s.subject) IN (('client', e.client_id), ('egress', e.id))
                 ORDER BY s.id LIMIT 1), '') AS suspended,
       (SELECT json_agg(json_build_object('node_id', u.node_id, 'detail', u.detail,
                                          'since', u.since, 'until', u.until) ORDER BY u.node_id)
        FROM unreachable AS u WHERE u.egress_id = e.id AND u.until > now()) AS unreachable_from
FROM egress AS e
JOIN client AS c ON c.id = e.client_id
LEFT JOIN assignment AS a ON a.egress_id = e.id
LEFT JOIN probe AS p ON p.egress_id = e.id
LEFT JOIN warm_up AS w ON w.scope = 'egress' AND w.subject = e.id AND w.provider = ''
LEFT JOIN ledger AS l ON l.scope = 'egress' AND l.subject = e.id
                     AND l.day = (now() AT TIME ZONE c.time_zone)::date
WHERE e.id > %(after)s
  AND (%(id)s = '' OR e.id = %(id)s)
  AND (%(filter)s = '' OR position(%(filter)s in e.id) > 0)
  AND (%(client_id)s = '' OR e.client_id = %(client_id)s)
  AND (%(node_id)s = '' OR a.node_id = %(node_id)s)
ORDER BY e.id
LIMIT %(limit)s

-- domains --
-- A page of domains.
SELECT d.name, d.client_id, d.dkim_selector, d.dmarc_policy,
       CASE WHEN EXISTS (SELECT 1 FROM suspension AS s
                         WHERE (s.until IS NULL OR s.until > now())
                           AND (s.scope, s.subject) IN (('client', d.client_id),
                                                        ('domain', d.name)))
            THEN 'suspended' ELSE d.state END AS state,
       (SELECT count(*) FROM mailbox AS m WHERE m.domain = d.name) AS mailboxes
FROM domain AS d
WHERE d.name > %(after)s
  AND (%(id)s = '' OR d.name = %(id)s)
  AND (%(filter)s = '' OR position(%(filter)s in d.name) > 0)
  AND (%(client_id)s = '' OR d.client_id = %(client_id)s)
  AND (%(node_id)s = '' OR EXISTS (
        SELECT 1 FROM mailbox AS m JOIN assignment AS a ON a.egress_id = m.egress_id
        WHERE m.domain = d.name AND a.node_id = %(node_id)s))
ORDER BY d.name
LIMIT %(limit)s

-- messages_up --
-- A page of messages, the oldest first.
SELECT m.id, m.client_id, s.idempotency_key, coalesce(m.mailbox, '') AS mailbox, m.recipient,
       m.state, m.accepted_at, m.not_before, m.final_at, coalesce(m.egress_id, '') AS egress_id,
       coalesce(m.node_id, '') AS node_id, coalesce(m.epoch, 0) AS epoch, m.queue_id, m.reason,
       m.attempts, m.size
FROM message AS m JOIN submission AS s ON s.message_id = m.id
WHERE m.id > %(after)s
  AND (%(state)s = '' OR m.state = %(state)s)
  AND (%(client_id)s = '' OR m.client_id = %(client_id)s)
  AND (%(mailbox)s = '' OR m.mailbox = %(mailbox)s)
  AND (%(recipient)s = '' OR m.recipient = %(recipient)s)
  AND (%(node_id)s = '' OR m.node_id = %(node_id)s)
  AND (%(ids)s::text[] = '{}' OR m.id = ANY(%(ids)s))
ORDER BY m.id
LIMIT %(limit)s

-- messages_down --
-- A page of messages, the newest first; `after` '' is the beginning.
SELECT m.id, m.client_id, s.idempotency_key, coalesce(m.mailbox, '') AS mailbox, m.recipient,
       m.state, m.accepted_at, m.not_before, m.final_at, coalesce(m.egress_id, '') AS egress_id,
       coalesce(m.node_id, '') AS node_id, coalesce(m.epoch, 0) AS epoch, m.queue_id, m.reason,
       m.attempts, m.size
FROM message AS m JOIN submission AS s ON s.message_id = m.id
WHERE (%(after)s = '' OR m.id < %(after)s)
  AND (%(state)s = '' OR m.state = %(state)s)
  AND (%(client_id)s = '' OR m.client_id = %(client_id)s)
  AND (%(mailbox)s = '' OR m.mailbox = %(mailbox)s)
  AND (%(recipient)s = '' OR m.recipient = %(recipient)s)
  AND (%(node_id)s = '' OR m.node_id = %(node_id)s)
  AND (%(ids)s::text[] = '{}' OR m.id = ANY(%(ids)s))
ORDER BY m.id DESC
LIMIT %(limit)s

-- message_events --
-- What nodes reported about a message, and what came back for it, in order.
SELECT at, kind, node_id, queue_id, dsn, relay, reason, gateway_stage, log_line
FROM (SELECT at, kind, node_id, queue_id, dsn, relay, reason, gateway_stage, log_line, spool_id, seq
      FROM event WHERE message_id = %(id)s
      UNION ALL
      SELECT at, kind, '', '', '', '', 'told by ' || told_by || left(': ', 2 * length(evidence))
             || evidence, '', '', '', 0
      FROM feedback WHERE message_id = %(id)s) AS h
ORDER BY at, spool_id, seq

-- audit --
-- A page of the audit log, the newest first; no subjects: about anything.
SELECT id, at, actor, action, subject, reason, evidence
FROM audit
WHERE (%(before)s = 0 OR id < %(before)s)
  AND (%(subjects)s::text[] = '{}' OR subject = ANY(%(subjects)s))
ORDER BY id DESC
LIMIT %(limit)s

-- dns_domains --
-- What of each domain stands in the DNS.
SELECT d.name, d.dkim_selector, d.dmarc_policy, k.public_key AS dkim_public_key,
       coalesce(array_agg(DISTINCT host(e.public_ip)) FILTER (WHERE e.id IS NOT NULL), '{}')
           AS exits
FROM domain AS d
JOIN dkim_key AS k ON k.domain = d.name AND k.selector = d.dkim_selector
LEFT JOIN mailbox AS m ON m.domain = d.name
LEFT JOIN egress AS e ON e.id = m.egress_id
WHERE (%(client_id)s = '' OR d.client_id = %(client_id)s)
GROUP BY d.name, k.public_key
ORDER BY d.name COLLATE "C"

-- dns_egresses --
-- What of each egress stands in the DNS.
SELECT e.helo_name, host(e.public_ip) AS public_ip
FROM egress AS e
WHERE e.state <> 'retired'
  AND (%(client_id)s = '' OR e.client_id = %(client_id)s)
  AND (%(node_id)s = '' OR EXISTS (SELECT 1 FROM assignment AS a
                                   WHERE a.egress_id = e.id AND a.node_id = %(node_id)s))
ORDER BY e.public_ip

-- lock_node --
-- A node as it stands, held until the end of the transaction.
SELECT id, cordoned, decommissioned, fenced FROM node WHERE id = %(node_id)s FOR UPDATE

-- set_cordoned --
-- Closes or opens a node for new egresses; what opens it ends its fence and its drain too.
UPDATE node
SET cordoned = %(cordoned)s, fenced = fenced AND %(cordoned)s, draining = draining AND %(cordoned)s
WHERE id = %(node_id)s

-- decommission --
-- Takes a node out of service: placement asks everything back.
UPDATE node SET decommissioned = true, cordoned = true WHERE id = %(node_id)s

-- revoke_certificate --
-- No certificate of the node is in force any more.
UPDATE node SET certificate_sha256 = NULL WHERE id = %(node_id)s

-- enrol --
-- From now on this certificate speaks for the node and no other. A fence was for the machine that
-- had the earlier one.
UPDATE node SET certificate_sha256 = %(certificate_sha256)s, enrolled_at = now(), fenced = false
WHERE id = %(node_id)s

-- subject_exists --
-- Whether there is a thing of this scope and id.
SELECT CASE %(scope)s
    WHEN 'client' THEN EXISTS (SELECT 1 FROM client WHERE id = %(id)s AND NOT retired)
    WHEN 'domain' THEN EXISTS (SELECT 1 FROM domain WHERE name = %(id)s)
    WHEN 'egress' THEN EXISTS (SELECT 1 FROM egress WHERE id = %(id)s)
    ELSE EXISTS (SELECT 1 FROM mailbox WHERE address = %(id)s) END

-- suspend --
-- An operator stops something; gives a row only where that changes anything.
INSERT INTO suspension AS s (scope, subject, source, reason, until, since, noted_at)
VALUES (%(scope)s, %(subject)s, 'operator', %(reason)s, %(until)s, now(), now())
ON CONFLICT (scope, subject, source) DO UPDATE
SET reason = excluded.reason, until = excluded.until, since = now(), noted_at = now()
WHERE s.reason <> excluded.reason OR s.until IS DISTINCT FROM excluded.until
RETURNING s.id

-- release --
-- Lifts what an operator had stopped; gives its reason.
DELETE FROM suspension
WHERE scope = %(scope)s AND subject = %(subject)s AND source = 'operator'
RETURNING reason

-- operators_suspension --
-- What an operator said when stopping something; no row: none did.
SELECT reason, until FROM suspension
WHERE scope = %(scope)s AND subject = %(subject)s AND source = 'operator'

-- others_suspensions --
-- What stops something besides operators.
SELECT source, stage, reason FROM suspension
WHERE scope = %(scope)s AND subject = %(subject)s AND source <> 'operator'
  AND (until IS NULL OR until > now())
ORDER BY source
