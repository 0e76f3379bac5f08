-- clients --
-- Clients of which something warms up, or whose threads are not at their end.
SELECT client_id FROM mailbox WHERE state = 'warming'
UNION
SELECT client_id FROM egress WHERE state = 'warming'
UNION
SELECT m.client_id FROM warm_up_mail AS w JOIN message AS m ON m.id = w.message_id WHERE NOT w.done

-- correspondents --
-- The mailboxes of these clients (`everybody`: of all) that may send and, as far as we know, get
-- mail: how far their warm-ups and those of their egresses are (NULL: not warming), with how many
-- others they share the egress, and how many messages of warm-up mail they have for today.
WITH stopped AS (
    SELECT scope, subject FROM suspension WHERE until IS NULL OR until > %(now)s
)
SELECT b.address, b.client_id, b.display_name, b.seed, d.time_zone, c.windows,
       CASE WHEN b.state = 'warming' THEN coalesce(wb.day, 1) END AS mailbox_day,
       CASE WHEN e.state = 'warming' THEN coalesce(we.day, 1) END AS egress_day,
       count(*) OVER (PARTITION BY b.egress_id) AS on_egress,
       (SELECT count(*) FROM message AS m
        WHERE m.lane = -1 AND m.mailbox = b.address
          AND (m.charged_day = (%(now)s::timestamptz AT TIME ZONE d.time_zone)::date
               OR (m.charged_day IS NULL AND m.state = 'accepted'))) AS written
FROM mailbox AS b
JOIN client AS c ON c.id = b.client_id AND NOT c.retired
JOIN domain AS d ON d.name = b.domain
JOIN egress AS e ON e.id = b.egress_id
LEFT JOIN warm_up AS wb ON wb.scope = 'mailbox' AND wb.subject = b.address AND wb.provider = ''
LEFT JOIN warm_up AS we ON we.scope = 'egress' AND we.subject = e.id AND we.provider = ''
LEFT JOIN mail_domain AS x ON x.domain = b.domain
WHERE (%(everybody)s OR b.client_id = ANY(%(client_ids)s))
  AND b.state IN ('active', 'warming') AND d.state IN ('active', 'warming')
  AND e.state IN ('active', 'warming') AND coalesce(x.outcome, 'pending') <> 'none'
  AND (b.egress_id, 'egress') NOT IN (SELECT subject, scope FROM stopped)
  AND (b.address, 'mailbox') NOT IN (SELECT subject, scope FROM stopped)
  AND (b.domain, 'domain') NOT IN (SELECT subject, scope FROM stopped)
  AND (b.client_id, 'client') NOT IN (SELECT subject, scope FROM stopped)
ORDER BY b.address

-- known_threads --
-- Which of these threads were begun.
SELECT thread FROM warm_up_mail WHERE thread = ANY(%(threads)s) AND position = 0

-- ended --
-- Messages of warm-up mail that ended before this time and may have to be answered.
SELECT w.message_id, w.thread, w.position, m.state, m.final_at, m.mailbox AS writer, m.recipient
FROM warm_up_mail AS w JOIN message AS m ON m.id = w.message_id
WHERE NOT w.done AND m.final_at <= %(before)s
ORDER BY m.final_at, w.message_id

-- earlier --
-- The messages of these threads in order.
SELECT w.thread, w.position, m.id, m.mailbox, m.final_at, coalesce(b.display_name, '') AS display_name
FROM warm_up_mail AS w
JOIN message AS m ON m.id = w.message_id
LEFT JOIN mailbox AS b ON b.address = m.mailbox
WHERE w.thread = ANY(%(threads)s)
ORDER BY w.thread, w.position

-- close --
-- Nothing follows on these any more.
UPDATE warm_up_mail SET done = true WHERE message_id = ANY(%(ids)s)

-- drop_stale --
-- Ends warm-up mail that has waited for its slot since before this time: late, it would be odd.
UPDATE message
SET state = 'cancelled', final_at = %(now)s, reason = 'warm-up mail that found no slot within a day'
WHERE lane = -1 AND state = 'accepted' AND attempts = 0 AND charged_day IS NULL
  AND not_before < %(before)s
