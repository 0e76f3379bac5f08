-- lock --
-- A campaign as it stands, held until the end of the transaction.
SELECT id, client_id, state, text_sha256, priority, burst_per_hour, windows, time_zone,
       domains, mailboxes, delays_days, on_uncertain, reason
FROM campaign WHERE id = %(id)s
FOR NO KEY UPDATE

-- make --
-- A campaign that was not there.
INSERT INTO campaign (id, client_id, text_sha256, priority, burst_per_hour, windows, time_zone,
                      domains, mailboxes, delays_days, on_uncertain, created_by,
                      changed_by)
VALUES (%(id)s, %(client_id)s, %(text_sha256)s, %(priority)s,
        %(burst_per_hour)s, %(windows)s::text[], %(time_zone)s, %(domains)s::text[],
        %(mailboxes)s::text[], %(delays_days)s::integer[], %(on_uncertain)s, %(actor)s, %(actor)s)

-- change --
-- Its settings that may change.
UPDATE campaign
SET priority = %(priority)s, burst_per_hour = %(burst_per_hour)s, windows = %(windows)s::text[],
    domains = %(domains)s::text[], mailboxes = %(mailboxes)s::text[], changed_at = now(),
    changed_by = %(actor)s
WHERE id = %(id)s

-- client --
-- A client that is in the inventory, with one of the domains it has mailboxes on, or ''.
SELECT c.id, c.windows,
       coalesce((SELECT min(m.domain) FROM mailbox AS m WHERE m.client_id = c.id), '') AS domain
FROM client AS c
WHERE c.id = %(id)s AND NOT c.retired

-- pool --
-- How many mailboxes a pool has, and by which clocks their windows open.
SELECT count(*) AS mailboxes, coalesce(array_agg(DISTINCT d.time_zone), '{}') AS zones
FROM mailbox AS b
JOIN domain AS d ON d.name = b.domain
WHERE b.client_id = %(client_id)s
  AND (%(domains)s::text[] IS NULL OR b.domain = ANY(%(domains)s) OR b.address = ANY(%(mailboxes)s))

-- strangers --
-- Which of these domains and mailboxes are not this client's.
SELECT 'domain' AS kind, t.name FROM unnest(%(domains)s::text[]) AS t (name)
WHERE NOT EXISTS (SELECT 1 FROM domain AS d WHERE d.name = t.name AND d.client_id = %(client_id)s)
UNION ALL
SELECT 'mailbox', t.name FROM unnest(%(mailboxes)s::text[]) AS t (name)
WHERE NOT EXISTS (SELECT 1 FROM mailbox AS b
                  WHERE b.address = t.name AND b.client_id = %(client_id)s)
ORDER BY 1, 2

-- make_lanes --
-- Lanes for these time zones, where they are not there.
INSERT INTO campaign_lane (campaign_id, time_zone, follow_up)
SELECT %(id)s, t.zone, %(follow_up)s FROM unnest(%(zones)s::text[]) AS t (zone)
ORDER BY t.zone
ON CONFLICT (campaign_id, time_zone, follow_up) DO NOTHING

-- lanes --
-- The lanes of these time zones.
SELECT id, time_zone FROM campaign_lane
WHERE campaign_id = %(id)s AND follow_up = %(follow_up)s AND time_zone = ANY(%(zones)s)

-- known --
-- Which of these recipients are there.
SELECT recipient FROM campaign_recipient
WHERE campaign_id = %(id)s AND recipient = ANY(%(recipients)b::text[])

-- run_again --
-- A campaign that was finished and got further recipients.
UPDATE campaign SET state = 'running' WHERE id = %(id)s AND state = 'finished'

-- set_state --
-- Pauses, resumes, cancels.
UPDATE campaign
SET state = %(state)s, reason = %(reason)s, ending = %(state)s = 'cancelled', changed_at = now(),
    changed_by = %(actor)s
WHERE id = %(id)s

-- lock_scheduled --
-- Its messages that have a time and no node; locked.
SELECT m.id FROM message AS m
WHERE m.lane IN (SELECT l.id FROM campaign_lane AS l WHERE l.campaign_id = %(id)s) AND m.lane > 0
  AND m.state = 'scheduled'
ORDER BY m.id
FOR UPDATE

-- stop_open --
-- Nothing more goes to any of its recipients.
UPDATE campaign_recipient SET state = 'stopped', next_at = NULL, reason = %(reason)s
WHERE campaign_id = %(id)s AND state = 'open'

-- drop_follow_ups --
-- What was to follow.
DELETE FROM campaign_follow_up WHERE campaign_id = %(id)s

-- ended --
-- Messages whose campaigns have not looked yet at how they ended, with the recipient who waits for
-- that; locked.
SELECT m.id, m.state, m.final_at, m.mailbox, l.campaign_id, c.delays_days, c.on_uncertain,
       r.recipient, r.step, r.state AS stands, r.reason AS why
FROM message AS m
JOIN campaign_lane AS l ON l.id = m.lane
JOIN campaign AS c ON c.id = l.campaign_id
LEFT JOIN campaign_recipient AS r
  ON r.campaign_id = l.campaign_id AND r.recipient = lower(m.recipient) AND r.message_id = m.id
WHERE m.awaited
  AND m.state IN ('sent', 'bounced', 'expired', 'suppressed', 'cancelled', 'uncertain')
ORDER BY m.lane, m.id
LIMIT %(limit)s
FOR UPDATE OF m SKIP LOCKED

-- looked_at --
-- Their campaigns know how these ended.
UPDATE message SET awaited = false WHERE id = ANY(%(ids)s)

-- go_on --
-- What comes next for recipients (the arrays run in parallel), where they still stand as they did.
UPDATE campaign_recipient AS r
SET state = t.state, next_at = t.next_at, reason = t.reason, mailbox = t.mailbox
FROM unnest(%(campaign_ids)s::text[], %(recipients)s::text[], %(message_ids)s::text[],
            %(stood)s::text[], %(states)s::text[], %(next_ats)s::timestamptz[], %(reasons)s::text[],
            %(mailboxes)s::text[])
     AS t (campaign_id, recipient, message_id, stood, state, next_at, reason, mailbox)
WHERE r.campaign_id = t.campaign_id AND r.recipient = t.recipient AND r.message_id = t.message_id
  AND r.state = t.stood

-- drop_rest --
-- What was to follow for these recipients (the arrays run in parallel).
DELETE FROM campaign_follow_up AS f
USING unnest(%(campaign_ids)s::text[], %(recipients)s::text[]) AS t (campaign_id, recipient)
WHERE f.campaign_id = t.campaign_id AND f.recipient = t.recipient

-- due --
-- Follow-ups whose time has come, of each campaign that runs at most so many, the longest due first.
SELECT c.id AS campaign_id, r.recipient, r.time_zone, r.mailbox, f.step, f.address, f.content
FROM campaign AS c
CROSS JOIN LATERAL (
    SELECT * FROM campaign_recipient AS x
    WHERE x.campaign_id = c.id AND x.state = 'open' AND x.next_at <= now()
    ORDER BY x.next_at
    LIMIT %(limit)s
) AS r
JOIN campaign_follow_up AS f
  ON f.campaign_id = r.campaign_id AND f.recipient = r.recipient AND f.step = r.step + 1
WHERE c.state = 'running'
ORDER BY c.id, r.next_at

-- headers --
-- What was added before the content of these messages of a client.
SELECT s.idempotency_key AS key, c.added
FROM submission AS s JOIN message_content AS c USING (message_id)
WHERE s.client_id = %(client_id)s AND s.idempotency_key = ANY(%(keys)s)

-- took_step --
-- These follow-ups are messages now (the arrays run in parallel), or (`message_id` NULL) were refused;
-- gives those whose recipients still waited for them.
UPDATE campaign_recipient AS r
SET step = CASE WHEN t.message_id IS NULL THEN r.step ELSE t.step END,
    message_id = coalesce(t.message_id, r.message_id), state = t.state, reason = t.reason, next_at = NULL
FROM unnest(%(recipients)s::text[], %(steps)s::integer[], %(message_ids)s::text[],
            %(states)s::text[], %(reasons)s::text[])
     AS t (recipient, step, message_id, state, reason)
WHERE r.campaign_id = %(id)s AND r.recipient = t.recipient AND r.step = t.step - 1
  AND r.state = 'open' AND r.next_at IS NOT NULL
RETURNING r.recipient

-- drop_step --
-- What is a message now is kept there.
DELETE FROM campaign_follow_up AS f
USING unnest(%(recipients)s::text[], %(steps)s::integer[]) AS t (recipient, step)
WHERE f.campaign_id = %(id)s AND f.recipient = t.recipient AND f.step = t.step

-- stop --
-- Nothing more goes to these recipients (the arrays run in parallel): in the campaign of the message
-- that something came back about, or (`everywhere`) in all of the client's.
UPDATE campaign_recipient AS r
SET state = 'stopped', next_at = NULL, reason = t.reason
FROM unnest(%(message_ids)s::text[], %(client_ids)s::text[], %(recipients)s::text[],
            %(reasons)s::text[], %(everywhere)s::boolean[])
     AS t (message_id, client_id, recipient, reason, everywhere)
JOIN campaign AS c ON c.client_id = t.client_id
WHERE r.campaign_id = c.id AND r.recipient = t.recipient AND r.state = 'open'
  AND (t.everywhere OR EXISTS (SELECT 1 FROM message AS m
                               JOIN campaign_lane AS l ON l.id = m.lane
                               WHERE m.id = t.message_id AND l.campaign_id = c.id))
RETURNING r.campaign_id, r.recipient, r.message_id, r.reason

-- show --
-- Campaigns as they stand: one (id), or those after a name that contain `filter`.
SELECT * FROM campaign
WHERE (%(id)s = '' OR id = %(id)s) AND id > %(after)s
  AND (%(client_id)s = '' OR client_id = %(client_id)s)
  AND (%(filter)s = '' OR position(%(filter)s in id) > 0)
ORDER BY id
LIMIT %(limit)s

-- count_messages --
-- Its messages by state.
SELECT m.state, count(*) AS count FROM message AS m
WHERE m.lane IN (SELECT l.id FROM campaign_lane AS l WHERE l.campaign_id = %(id)s) AND m.lane > 0
GROUP BY m.state

-- count_recipients --
-- Its recipients by state, why, and step; how many of them wait for the next step's day.
SELECT state, reason, step, count(*) AS count, count(next_at) AS waiting, min(next_at) AS next_at
FROM campaign_recipient
WHERE campaign_id = %(id)s
GROUP BY state, reason, step
ORDER BY step

-- finish --
-- Campaigns of which nothing waits, is on its way or is to follow.
UPDATE campaign AS c SET state = 'finished'
WHERE c.state = 'running'
  AND EXISTS (SELECT 1 FROM campaign_recipient AS r WHERE r.campaign_id = c.id)
  AND NOT EXISTS (SELECT 1 FROM campaign_recipient AS r
                  WHERE r.campaign_id = c.id AND r.state = 'open')
  AND NOT EXISTS (SELECT 1 FROM campaign_lane AS l
                  JOIN message AS m ON m.lane = l.id AND m.lane > 0
                   AND m.state IN ('accepted', 'scheduled', 'dispatched', 'queued')
                  WHERE l.campaign_id = c.id)
RETURNING c.id

-- all_ended --
-- Cancelled campaigns of which no message is left that could still go.
UPDATE campaign AS c SET ending = false
WHERE c.state = 'cancelled' AND c.ending
  AND NOT EXISTS (SELECT 1 FROM campaign_lane AS l
                  JOIN message AS m ON m.lane = l.id AND m.lane > 0
                   AND m.state IN ('accepted', 'scheduled', 'dispatched', 'queued')
                  WHERE l.campaign_id = c.id)

-- recipients --
-- A page of a campaign's recipients, each with the last message that was made for it.
SELECT r.recipient, r.state, r.reason, r.step, r.next_at, r.time_zone,
       coalesce(r.message_id, '') AS message_id, coalesce(m.state, '') AS message_state,
       coalesce(r.mailbox, m.mailbox, '') AS mailbox
FROM campaign_recipient AS r LEFT JOIN message AS m ON m.id = r.message_id
WHERE r.campaign_id = %(id)s AND r.recipient > %(after)s
  AND (%(state)s = '' OR r.state = %(state)s)
  AND (%(message_state)s = '' OR m.state = %(message_state)s)
ORDER BY r.recipient
LIMIT %(limit)s
