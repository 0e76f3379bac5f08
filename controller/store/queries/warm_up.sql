-- begin --
-- What is to warm up and has not begun, by its local day, for all mail (provider '') and toward
-- providers; gives what began. The arrays run in parallel: curves and their last days.
INSERT INTO warm_up (scope, subject, provider, day, judged)
SELECT scope, subject, c.provider,
       CASE WHEN warming LIKE '____-__-__'
            THEN greatest(1, least(today - warming::date + 1, c.last))
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
JOIN unnest(%(scopes)s::text[], %(providers)s::text[], %(lasts)s::integer[])
     AS c (scope, provider, last) USING (scope)
ON CONFLICT DO NOTHING
RETURNING scope, subject, provider, day

-- forget --
-- Removes the progress of what is not warming any more, and of curves that are not there any more.
-- A warm-up toward a provider goes on by itself when the one for all mail is over.
DELETE FROM warm_up AS w
WHERE NOT CASE w.scope
          WHEN 'mailbox' THEN EXISTS (
              SELECT 1 FROM mailbox AS b WHERE b.address = w.subject
                AND (b.state = 'warming' OR b.state = 'active' AND w.provider <> '' AND NOT w.over))
          ELSE EXISTS (
              SELECT 1 FROM egress AS e WHERE e.id = w.subject
                AND (e.state = 'warming' OR e.state = 'active' AND w.provider <> '' AND NOT w.over))
          END
   OR NOT EXISTS (SELECT 1 FROM unnest(%(scopes)s::text[], %(providers)s::text[])
                                AS c (scope, provider)
                  WHERE c.scope = w.scope AND c.provider = w.provider)

-- forget_sent --
-- Removes old notes of days.
DELETE FROM warm_up_sent WHERE day < %(before)s

-- to_judge --
-- Warm-ups with a local day that is over and not judged, and whether mail was sent on it; locked.
SELECT w.scope, w.subject, w.provider, w.day, w.signal, w.signal_reason,
       z.today - 1 AS yesterday,
       EXISTS (SELECT 1 FROM warm_up_sent AS s
               WHERE s.scope = w.scope AND s.subject = w.subject AND s.provider = w.provider
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
WHERE w.judged < z.today - 1 AND NOT w.over
ORDER BY w.scope, w.subject, w.provider
LIMIT %(limit)s
FOR UPDATE OF w

-- keep --
-- Writes what was judged; a step back is done with. The arrays run in parallel.
UPDATE warm_up AS w
SET day = t.day, judged = t.judged, over = t.over,
    signal = CASE w.signal WHEN 'back' THEN '' ELSE w.signal END
FROM unnest(%(scopes)s::text[], %(subjects)s::text[], %(providers)s::text[], %(days)s::integer[],
            %(judged)s::date[], %(overs)s::boolean[])
     AS t (scope, subject, provider, day, judged, over)
WHERE w.scope = t.scope AND w.subject = t.subject AND w.provider = t.provider

-- end_mailboxes --
-- Their warm-up is over.
UPDATE mailbox SET state = 'active' WHERE address = ANY(%(subjects)s) AND state = 'warming'

-- end_egresses --
-- The same.
UPDATE egress SET state = 'active' WHERE id = ANY(%(subjects)s) AND state = 'warming'

-- progress --
-- How far these mailboxes and egresses are, by curve (provider '': for all mail); what is not
-- warming is left out. `scopes` and `providers` run in parallel: the curves.
WITH curve AS (
    SELECT * FROM unnest(%(scopes)s::text[], %(providers)s::text[]) AS c (scope, provider)
)
SELECT c.scope, b.address AS subject, c.provider, coalesce(w.day, 1) AS day
FROM curve AS c
JOIN mailbox AS b ON b.address = ANY(%(mailboxes)b::text[]) AND b.state IN ('warming', 'active')
LEFT JOIN warm_up AS w ON w.scope = 'mailbox' AND w.subject = b.address AND w.provider = c.provider
WHERE c.scope = 'mailbox'
  AND CASE b.state WHEN 'warming' THEN w.over IS NOT TRUE ELSE c.provider <> '' AND NOT w.over END
UNION ALL
SELECT c.scope, e.id, c.provider, coalesce(w.day, 1)
FROM curve AS c
JOIN egress AS e ON e.id = ANY(%(egresses)s) AND e.state IN ('warming', 'active')
LEFT JOIN warm_up AS w ON w.scope = 'egress' AND w.subject = e.id AND w.provider = c.provider
WHERE c.scope = 'egress'
  AND CASE e.state WHEN 'warming' THEN w.over IS NOT TRUE ELSE c.provider <> '' AND NOT w.over END

-- note_sent --
-- These messages were taken by a receiver: notes the days of what is warming.
INSERT INTO warm_up_sent (scope, subject, provider, day)
SELECT DISTINCT w.scope, w.subject, w.provider, m.charged_day
FROM message AS m
JOIN warm_up AS w ON (w.scope = 'mailbox' AND w.subject = m.mailbox)
                  OR (w.scope = 'egress' AND w.subject = m.egress_id)
WHERE m.id = ANY(%(ids)s) AND m.charged_day IS NOT NULL
  AND w.provider IN ('', m.charged_provider) AND NOT w.over
ORDER BY 1, 2, 3, 4
ON CONFLICT DO NOTHING
