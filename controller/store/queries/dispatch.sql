-- claim --
-- Moves due messages to the nodes that ask, by room (messages) and room_octets, and gives them with
-- their content. Only for egresses the node holds in its current term and is not giving back, of
-- mailboxes it runs, nothing that is suspended or behind an open breaker but its `trial_ids`, of slowed
-- receivers in no table only those and `turn_ids`, and none of `except_ids`. A recipient who was
-- suppressed meanwhile ends the message here. The lease is locked so that the term cannot end
-- under it.
WITH asked AS (
    SELECT * FROM unnest(%(node_ids)s::text[], %(session_ids)s::text[], %(rooms)s::integer[],
                         %(rooms_octets)s::bigint[]) AS t (node_id, session_id, room, room_octets)
), speaking AS (
    SELECT t.node_id, t.room, t.room_octets, l.epoch
    FROM asked AS t
    JOIN lease AS l ON l.node_id = t.node_id AND l.session_id = t.session_id AND l.held
    ORDER BY l.node_id
    FOR SHARE OF l
), stopped AS (
    SELECT scope, subject FROM suspension WHERE until IS NULL OR until > now()
), usable AS (
    SELECT s.node_id, s.epoch, s.room, s.room_octets, a.egress_id
    FROM speaking AS s
    JOIN assignment AS a ON a.node_id = s.node_id AND a.epoch = s.epoch AND a.state = 'assigned'
    WHERE NOT EXISTS (SELECT 1 FROM stopped AS x
                      WHERE x.scope = 'egress' AND x.subject = a.egress_id)
), due AS (
    SELECT u.node_id, u.epoch, u.room, u.room_octets, d.id, d.size, d.not_before
    FROM usable AS u
    CROSS JOIN LATERAL (
        SELECT m.id, m.size, m.not_before
        FROM message AS m
        JOIN running_mailbox AS r
          ON r.node_id = u.node_id AND r.address = m.mailbox AND r.egress_id = u.egress_id
        WHERE m.egress_id = u.egress_id
          AND m.state = 'scheduled'
          AND m.cancel_asked_by IS NULL
          AND m.not_before <= now() + make_interval(secs => %(horizon_s)s)
          AND m.id <> ALL (%(except_ids)s::text[])
          AND NOT EXISTS (
              SELECT 1 FROM stopped AS x
              WHERE (x.scope = 'mailbox' AND x.subject = m.mailbox)
                 OR (x.scope = 'domain' AND x.subject = split_part(m.mailbox, '@', 2))
                 OR (x.scope = 'client' AND x.subject = m.client_id)
                 OR (x.scope = 'provider-egress' AND x.subject = m.receiver || '/' || m.egress_id)
                 OR (x.scope = 'provider-domain'
                     AND x.subject = m.receiver || '/' || split_part(m.mailbox, '@', 2)))
          AND (m.id = ANY (%(trial_ids)s::text[]) OR NOT EXISTS (
              SELECT 1 FROM breaker AS b
              WHERE b.position = 'open' AND b.provider = m.receiver
                AND CASE b.scope WHEN 'provider-egress' THEN b.subject = m.egress_id
                                 ELSE b.subject = split_part(m.mailbox, '@', 2) END))
          AND (m.id = ANY (%(turn_ids)s::text[]) OR NOT EXISTS (
              SELECT 1 FROM slow_down AS d
              WHERE d.provider = m.receiver AND position('.' IN d.provider) > 0
                AND CASE d.scope WHEN 'provider-egress' THEN d.subject = m.egress_id
                                 ELSE d.subject = split_part(m.mailbox, '@', 2) END))
        ORDER BY m.not_before
        LIMIT u.room
    ) AS d
), ranked AS (
    SELECT node_id, epoch, id, room, room_octets,
           row_number() OVER by_time AS rank,
           sum(size) OVER by_time - size AS octets_before
    FROM due
    WINDOW by_time AS (PARTITION BY node_id ORDER BY not_before, id
                       ROWS UNBOUNDED PRECEDING)
), picked AS (
    SELECT r.node_id, r.epoch, m.id,
           EXISTS (SELECT 1 FROM suppression AS x
                   WHERE x.client_id IN ('', m.client_id)
                     AND x.recipient IN (
                         lower(m.recipient),
                         -- after the last @: a quoted local part may hold another
                         '@' || lower(regexp_replace(m.recipient, '^.*@', '')))
                  ) AS suppressed
    FROM ranked AS r JOIN message AS m ON m.id = r.id
    WHERE r.rank <= r.room AND r.octets_before < r.room_octets
      -- coalesce: no index over what is scheduled may serve here. Statistics of a minute in which
      -- nothing was would have all of it read once for each message.
      AND coalesce(m.state, '') = 'scheduled'
    ORDER BY m.id
    FOR UPDATE OF m SKIP LOCKED
)
UPDATE message AS m
SET state = CASE WHEN p.suppressed THEN 'suppressed' ELSE 'dispatched' END,
    final_at = CASE WHEN p.suppressed THEN now() END,
    reason = CASE WHEN p.suppressed THEN 'the recipient is suppressed' ELSE '' END,
    node_id = p.node_id, epoch = p.epoch, stored = false, queue_id = ''
FROM picked AS p
JOIN message_content AS c ON c.message_id = p.id
WHERE m.id = p.id
RETURNING m.id, m.state, m.node_id, m.mailbox, m.recipient, m.egress_id, m.epoch, m.not_before,
          c.added || c.content AS content

-- unacknowledged --
-- Messages of a node that are on their way without its word that it has them; with content.
SELECT m.id, m.state, m.node_id, m.mailbox, m.recipient, m.egress_id, m.epoch, m.not_before,
       c.added || c.content AS content
FROM message AS m JOIN message_content AS c ON c.message_id = m.id
WHERE m.node_id = %(node_id)s AND m.state = 'dispatched' AND NOT m.stored AND m.id > %(after)s
ORDER BY m.id
LIMIT %(limit)s

-- mark_stored --
-- The node has these on its disk. Only the session that speaks for the node is believed: an answer
-- of an earlier one may be about an earlier dispatch, and is asked for again.
UPDATE message AS m SET stored = true
FROM lease AS l
WHERE m.id = ANY(%(ids)s) AND m.node_id = %(node_id)s AND NOT m.stored
  AND l.node_id = m.node_id AND l.session_id = %(session_id)s

-- take_back --
-- The node says that it did not take these and has not had them: they wait for dispatch again. The
-- node stays named as the last one, so that a late report of it is still believed. Only the session
-- that speaks for the node is believed, as with `mark_stored`.
UPDATE message AS m
SET state = 'scheduled', epoch = NULL, reason = t.reason
FROM unnest(%(ids)s::text[], %(reasons)s::text[]) AS t (id, reason), lease AS l
WHERE m.id = t.id AND m.node_id = %(node_id)s AND m.state = 'dispatched' AND NOT m.stored
  AND l.node_id = m.node_id AND l.session_id = %(session_id)s

-- take_back_not_due --
-- Takes back what the node was sent and cannot have handed over: no grant let its time come. It
-- waits for dispatch again; the term it was sent in is over, so the node will never hand it over.
UPDATE message AS m
SET state = 'scheduled', epoch = NULL, stored = false, reason = %(reason)s
FROM lease AS l
WHERE l.node_id = %(node_id)s AND m.node_id = l.node_id
  AND m.state = 'dispatched' AND m.not_before > l.due_until
RETURNING m.id

-- lose_spool --
-- The node's disk is gone: it may have attempted each of these after its last report. `told` says
-- which disk; the rest of the reason is what makes an attempt possible.
UPDATE message
SET state = 'uncertain',
    reason = %(told)s || CASE
        WHEN state = 'queued' AND attempts > 0 THEN
            ': it was in Postfix''s queue and tried before; a later attempt may have succeeded'
        WHEN state = 'queued' THEN
            ': it was in Postfix''s queue; an attempt may have succeeded'
        WHEN stored THEN
            ': it was on that disk and due; it may have been handed to Postfix and attempted'
        ELSE
            ': it was sent there and due; the node may have stored it without our hearing of it, '
            'and attempted it'
    END
WHERE node_id = %(node_id)s AND state IN ('dispatched', 'queued')
RETURNING id

-- say_why_waiting --
-- The node's term is over; its messages wait for it, because it may have sent them.
UPDATE message SET reason = %(reason)s
WHERE node_id = %(node_id)s AND state IN ('dispatched', 'queued')

-- moved_away --
-- Planned messages whose mailbox sends through another egress by now; locked.
SELECT m.id FROM message AS m JOIN mailbox AS b ON b.address = m.mailbox
WHERE m.state = 'scheduled' AND b.egress_id <> m.egress_id
ORDER BY m.id
LIMIT %(limit)s
FOR UPDATE OF m SKIP LOCKED
