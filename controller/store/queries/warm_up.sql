-- begin --
-- What is to warm up and has not begun, by its local day; gives what began.
INSERT INTO warm_up (scope, subject, day, judged)
SELECT scope, subject,
       CASE WHEN warming LIKE '____-__-__'
            THEN greatest(1, least(today - warming::date + 1,
                                   CASE scope WHEN 'mailbox' THEN %(mailbox_last)s::integer
                                              ELSE %(egress_last)s::integer END))
            ELSE 1 END,
       today - 1
FROM (
    SELECT 'mailbox' AS scope, b.address AS subject, b.warming,
           (%(now)s::timestamptz AT TIME ZONE d.time_zone)::date AS today
    FROM mailbox AS b JOIN domain AS d ON d.name = b.domain
    WHERE b.state = 'warming'
    UNION ALL
    SELECT 'egress', e.id, e.warming, (%(now)s::timestamptz AT TIME ZONE c.time_zone)::date
    FROM egress AS e JOIN client AS c ON c.id = e.client_id
    WHERE e.state = 'warming'
) AS warming
ON CONFLICT DO NOTHING
RETURNING scope, subject, day

-- forget --
-- Removes the progress of what is not warming any more.
DELETE FROM warm_up AS w
WHERE NOT CASE w.scope
          WHEN 'mailbox' THEN EXISTS (SELECT 1 FROM mailbox AS b
                                      WHERE b.address = w.subject AND b.state = 'warming')
          ELSE EXISTS (SELECT 1 FROM egress AS e WHERE e.id = w.subject AND e.state = 'warming') END

-- forget_sent --
-- Removes old notes of days.
DELETE FROM warm_up_sent WHERE day < %(before)s

-- to_judge --
-- Warm-ups with a local day that is over and not judged, and whether mail was sent on it; locked.
SELECT w.scope, w.subject, w.day, w.signal, w.signal_reason, z.today - 1 AS yesterday,
       EXISTS (SELECT 1 FROM warm_up_sent AS s
               WHERE s.scope = w.scope AND s.subject = w.subject
                 AND s.day > w.judged AND s.day < z.today) AS sent
FROM warm_up AS w
CROSS JOIN LATERAL (
    SELECT (%(now)s::timestamptz AT TIME ZONE zone)::date AS today
    FROM (SELECT d.time_zone AS zone FROM mailbox AS b JOIN domain AS d ON d.name = b.domain
          WHERE w.scope = 'mailbox' AND b.address = w.subject
          UNION ALL
          SELECT c.time_zone FROM egress AS e JOIN client AS c ON c.id = e.client_id
          WHERE w.scope = 'egress' AND e.id = w.subject) AS zones
) AS z
WHERE w.judged < z.today - 1
ORDER BY w.scope, w.subject
LIMIT %(limit)s
FOR UPDATE OF w

-- keep --
-- Writes what was judged; a step back is done with. The arrays run in parallel.
UPDATE warm_up AS w
SET day = t.day, judged = t.judged,
    signal = CASE w.signal WHEN 'back' THEN '' ELSE w.signal END
FROM unnest(%(scopes)s::text[], %(subjects)s::text[], %(days)s::integer[], %(judged)s::date[])
     AS t (scope, subject, day, judged)
WHERE w.scope = t.scope AND w.subject = t.subject

-- end_mailboxes --
-- Their warm-up is over.
UPDATE mailbox SET state = 'active' WHERE address = ANY(%(subjects)s) AND state = 'warming'

-- end_egresses --
-- The same.
UPDATE egress SET state = 'active' WHERE id = ANY(%(subjects)s) AND state = 'warming'

-- progress --
-- How far these mailboxes and egresses are; those that are not warming are left out.
SELECT 'mailbox' AS scope, b.address AS subject, coalesce(w.day, 1) AS day
FROM mailbox AS b LEFT JOIN warm_up AS w ON w.scope = 'mailbox' AND w.subject = b.address
WHERE b.address = ANY(%(mailboxes)b::text[]) AND b.state = 'warming'
UNION ALL
SELECT 'egress', e.id, coalesce(w.day, 1)
FROM egress AS e LEFT JOIN warm_up AS w ON w.scope = 'egress' AND w.subject = e.id
WHERE e.id = ANY(%(egresses)s) AND e.state = 'warming'

-- note_sent --
-- These messages were taken by a receiver: notes the days of what is warming.
INSERT INTO warm_up_sent (scope, subject, day)
SELECT DISTINCT w.scope, w.subject, m.charged_day
FROM message AS m
JOIN warm_up AS w ON (w.scope = 'mailbox' AND w.subject = m.mailbox)
                  OR (w.scope = 'egress' AND w.subject = m.egress_id)
WHERE m.id = ANY(%(ids)s) AND m.charged_day IS NOT NULL
ORDER BY 1, 2, 3
ON CONFLICT DO NOTHING
