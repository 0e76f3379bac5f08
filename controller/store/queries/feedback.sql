-- messages --
-- The message each row (the arrays run in parallel) is about: by its id, or (id '') the last one that
-- mailbox sent to recipient, accepted no later than `at`. `id` NULL: there is none that ever was on
-- its way. Of one client only where client_id is not NULL.
SELECT t.row, m.id, m.client_id, m.recipient, m.mailbox, m.egress_id,
       coalesce(m.provider, 'unknown') AS provider
FROM unnest(%(rows)s::int[], %(ids)s::text[], %(recipients)s::text[], %(mailboxes)s::text[],
            %(ats)s::timestamptz[]) AS t (row, id, recipient, mailbox, at)
LEFT JOIN LATERAL (
    (SELECT x.* FROM message AS x WHERE t.id <> '' AND x.id = t.id
       AND (x.attempts > 0
            OR x.state IN ('dispatched', 'queued', 'sent', 'bounced', 'expired', 'uncertain')))
    UNION ALL
    (SELECT x.* FROM submission AS s JOIN message AS x ON x.id = s.message_id
     WHERE t.id = '' AND lower(s.recipient) = t.recipient AND lower(x.mailbox) = t.mailbox
       AND x.accepted_at <= t.at
       AND (x.attempts > 0
            OR x.state IN ('dispatched', 'queued', 'sent', 'bounced', 'expired', 'uncertain'))
     ORDER BY x.id DESC
     LIMIT 1)
) AS m ON %(client_id)s::text IS NULL OR m.client_id = %(client_id)s
ORDER BY t.row

-- take --
-- Keeps what is not on record (the arrays run in parallel); gives what was kept.
INSERT INTO feedback (message_id, kind, client_id, at, evidence, told_by)
SELECT message_id, kind, client_id, at, evidence, %(told_by)s
FROM unnest(%(message_ids)s::text[], %(kinds)s::text[], %(client_ids)s::text[],
            %(ats)s::timestamptz[], %(evidences)s::text[])
     AS t (message_id, kind, client_id, at, evidence)
-- In one order for everybody, so that two imports never wait for one another crosswise.
ORDER BY message_id, kind
ON CONFLICT (message_id, kind) DO NOTHING
RETURNING message_id, kind

-- list --
-- A page; no ids, kind '' and client '': any.
SELECT f.message_id, f.kind, f.client_id, f.at, f.evidence, f.told_by, f.told_at,
       m.recipient, coalesce(m.mailbox, '') AS mailbox
FROM feedback AS f
JOIN message AS m ON m.id = f.message_id
WHERE (f.message_id, f.kind) > (%(after_id)s, %(after_kind)s)
  AND (%(client_id)s = '' OR f.client_id = %(client_id)s)
  AND (%(kind)s = '' OR f.kind = %(kind)s)
  AND (%(ids)s::text[] = '{}' OR f.message_id = ANY(%(ids)s))
ORDER BY f.message_id, f.kind
LIMIT %(limit)s
