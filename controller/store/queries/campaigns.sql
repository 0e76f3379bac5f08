-- lock --
-- A campaign as it stands, held until the end of the transaction.
SELECT id, client_id, state, text_sha256, message_domain, priority, burst_per_hour, windows,
       time_zone, domains, mailboxes, delays_days, on_uncertain, reason
FROM campaign WHERE id = %(id)s
FOR NO KEY UPDATE

-- make --
-- A campaign that was not there.
INSERT INTO campaign (id, client_id, text_sha256, message_domain, priority, burst_per_hour, windows,
                      time_zone, domains, mailboxes, delays_days, on_uncertain, created_by,
                      changed_by)
VALUES (%(id)s, %(client_id)s, %(text_sha256)s, %(message_domain)s, %(priority)s,
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
-- Its recipients by state, and why.
SELECT state, reason, count(*) AS count FROM campaign_recipient
WHERE campaign_id = %(id)s
GROUP BY state, reason

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
