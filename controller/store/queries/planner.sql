-- clients_waiting --
-- Clients with messages in `accepted`.
SELECT c.id
FROM client AS c
WHERE EXISTS (SELECT 1 FROM message AS m
              WHERE m.client_id = c.id AND m.state = 'accepted' AND m.mailbox IS NULL)
   OR EXISTS (SELECT 1 FROM message AS m
              WHERE m.client_id = c.id AND m.state = 'accepted' AND m.mailbox IS NOT NULL)
ORDER BY c.id

-- lock_client --
-- Where the round robin of a client stands. No row: another planner is at work on it. The lock
-- leaves intake's references to the client alone.
SELECT planner_cursor, retired FROM client WHERE id = %(id)s FOR NO KEY UPDATE SKIP LOCKED

-- set_cursor --
-- Remembers the mailbox that was chosen last.
UPDATE client SET planner_cursor = %(cursor)s WHERE id = %(id)s AND planner_cursor <> %(cursor)s

-- mailboxes --
-- The mailboxes of a client: what they and their egresses used on a day, and the widest thing that
-- stops them now.
SELECT m.address, m.display_name, m.egress_id,
       coalesce(lm.used, 0) AS used, coalesce(le.used, 0) AS egress_used,
       coalesce(
           CASE WHEN c.retired THEN format('client %%s left the inventory', c.id) END,
           (SELECT format('%%s %%s is suspended: %%s', s.scope, s.subject, s.reason)
            FROM suspension AS s
            WHERE (s.until IS NULL OR s.until > %(now)s)
              AND (s.scope, s.subject) IN (('client', m.client_id), ('domain', m.domain),
                                           ('egress', m.egress_id), ('mailbox', m.address))
            ORDER BY array_position(ARRAY['client', 'domain', 'egress', 'mailbox'], s.scope), s.id
            LIMIT 1),
           CASE WHEN d.state <> 'active' THEN format('domain %%s is %%s', d.name, d.state)
                WHEN e.state <> 'active' THEN format('egress %%s is %%s', e.id, e.state)
                WHEN m.state <> 'active' THEN format('mailbox %%s is %%s', m.address, m.state)
                ELSE '' END) AS stopped
FROM mailbox AS m
JOIN client AS c ON c.id = m.client_id
JOIN domain AS d ON d.name = m.domain
JOIN egress AS e ON e.id = m.egress_id
LEFT JOIN ledger AS lm ON lm.scope = 'mailbox' AND lm.subject = m.address AND lm.day = %(day)s
LEFT JOIN ledger AS le ON le.scope = 'egress' AND le.subject = m.egress_id AND le.day = %(day)s
WHERE m.client_id = %(client_id)s
ORDER BY m.address

-- due_of_mailboxes --
-- The oldest due messages that name one of these mailboxes, of each as many as its room.
SELECT w.id, w.mailbox, w.not_before
FROM unnest(%(addresses)s::text[], %(rooms)s::integer[]) AS a (address, room)
CROSS JOIN LATERAL (
    SELECT m.id, m.mailbox, m.not_before
    FROM message AS m
    WHERE m.client_id = %(client_id)s AND m.state = 'accepted'
      AND m.mailbox = a.address AND m.not_before <= %(due)s
    ORDER BY m.not_before, m.id
    LIMIT a.room
) AS w
ORDER BY w.not_before, w.id
LIMIT %(limit)s

-- due_without_mailbox --
-- The oldest due messages of a client for which the planner chooses the mailbox.
SELECT id, mailbox, not_before
FROM message
WHERE client_id = %(client_id)s AND state = 'accepted'
  AND mailbox IS NULL AND not_before <= %(due)s
ORDER BY not_before, id
LIMIT %(limit)s

-- schedule --
-- Gives messages that still wait their mailbox and egress; tells which. The arrays run in parallel.
UPDATE message AS m
SET state = 'scheduled', mailbox = t.mailbox, egress_id = t.egress_id, charged_day = %(day)s,
    reason = ''
FROM unnest(%(ids)s::text[], %(mailboxes)s::text[], %(egress_ids)s::text[])
     AS t (id, mailbox, egress_id)
WHERE m.id = t.id AND m.state = 'accepted'
RETURNING m.id

-- add_from --
-- Puts the From line of the chosen mailbox before the header lines added so far.
UPDATE message_content AS c
SET added = t.line || c.added
FROM unnest(%(ids)s::text[], %(lines)s::bytea[]) AS t (id, line)
WHERE c.message_id = t.id

-- unexplained --
-- Due messages that wait and do not say why, the oldest first.
SELECT id, mailbox
FROM message
WHERE client_id = %(client_id)s AND state = 'accepted' AND reason = '' AND not_before <= %(due)s
ORDER BY not_before, id
LIMIT %(limit)s

-- heads --
-- The first messages in the queues of these mailboxes, with what they say why they wait.
SELECT w.id, w.mailbox, w.reason
FROM unnest(%(addresses)s::text[]) AS a (address)
CROSS JOIN LATERAL (
    SELECT m.id, m.mailbox, m.reason
    FROM message AS m
    WHERE m.client_id = %(client_id)s AND m.state = 'accepted'
      AND m.mailbox = a.address AND m.not_before <= %(due)s
    ORDER BY m.not_before, m.id
    LIMIT %(limit)s
) AS w

-- head_without_mailbox --
-- The first messages for which the planner chooses, with what they say why they wait.
SELECT id, mailbox, reason
FROM message
WHERE client_id = %(client_id)s AND state = 'accepted'
  AND mailbox IS NULL AND not_before <= %(due)s
ORDER BY not_before, id
LIMIT %(limit)s

-- explain --
-- Writes why messages wait. The arrays run in parallel.
UPDATE message AS m
SET reason = t.reason
FROM unnest(%(ids)s::text[], %(reasons)s::text[]) AS t (id, reason)
WHERE m.id = t.id AND m.state = 'accepted' AND m.reason <> t.reason

-- overdue --
-- Messages planned for a day that is over and that no node has: locked, to be planned anew. What
-- was tried already and came back goes on at the charge of the day of its first try, as it would
-- have in Postfix's queue.
SELECT id
FROM message
WHERE state = 'scheduled' AND charged_day < %(day)s AND attempts = 0
ORDER BY charged_day, id
LIMIT %(limit)s
FOR UPDATE SKIP LOCKED

-- unplan --
-- Takes the planner's choice back. The mailbox stays: From may say it already.
UPDATE message
SET state = 'accepted', egress_id = NULL, reason = %(reason)s
WHERE id = ANY(%(ids)s) AND state = 'scheduled'
