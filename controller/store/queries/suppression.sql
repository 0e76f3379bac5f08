-- unknown_clients --
-- Which of these are no clients of the fleet.
SELECT DISTINCT t.id FROM unnest(%(ids)s::text[]) AS t (id)
WHERE t.id <> '' AND NOT EXISTS (SELECT 1 FROM client AS c WHERE c.id = t.id)
ORDER BY 1

-- add --
-- Adds what is not there (the arrays run in parallel); gives what was added.
INSERT INTO suppression (client_id, recipient, reason, evidence, since)
SELECT client_id, recipient, reason, evidence, coalesce(since, now())
FROM unnest(%(client_ids)s::text[], %(recipients)s::text[], %(reasons)s::text[],
            %(evidences)s::text[], %(sinces)s::timestamptz[])
     AS t (client_id, recipient, reason, evidence, since)
-- In one order for everybody, so that two imports never wait for one another crosswise.
ORDER BY client_id, recipient
ON CONFLICT (client_id, recipient) DO NOTHING
RETURNING client_id, recipient

-- remove --
-- Takes these away; gives what was there.
DELETE FROM suppression
WHERE client_id = %(client_id)s AND recipient = ANY(%(recipients)s)
RETURNING client_id, recipient, reason, evidence, since

-- list --
-- A page, of one client or (NULL) of all.
SELECT client_id, recipient, reason, evidence, since
FROM suppression
WHERE (client_id, recipient) > (%(after_client)s, %(after_recipient)s)
  AND (%(client_id)s::text IS NULL OR client_id = %(client_id)s)
  AND (%(filter)s = '' OR position(%(filter)s in recipient) > 0)
  AND (%(reason)s = '' OR reason = %(reason)s)
ORDER BY client_id, recipient
LIMIT %(limit)s

-- check --
-- What names one of these addresses and @domains, for this client or for all.
SELECT client_id, recipient, reason, evidence, since
FROM suppression
WHERE client_id IN ('', %(client_id)s) AND recipient = ANY(%(recipients)s)
ORDER BY recipient, client_id

-- on_nodes --
-- What these nodes are to give back because its recipient is suppressed by now, of each at most so
-- many.
SELECT n.node_id, m.id
FROM unnest(%(node_ids)s::text[]) AS n (node_id)
CROSS JOIN LATERAL (
    SELECT x.id FROM message AS x
    WHERE x.node_id = n.node_id AND x.state IN ('dispatched', 'queued')
      AND EXISTS (
          SELECT 1 FROM suppression AS s
          WHERE s.client_id IN ('', x.client_id)
            AND s.recipient IN (
                lower(x.recipient),
                -- after the last @: a quoted local part may hold another
                '@' || lower(regexp_replace(x.recipient, '^.*@', ''))))
    ORDER BY x.id LIMIT %(limit)s
) AS m
