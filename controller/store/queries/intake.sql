-- known_keys --
-- Which of these keys are taken already, with the message that took them. The arrays run in
-- parallel.
SELECT s.client_id, s.idempotency_key, s.message_id, s.fingerprint
FROM unnest(%(client_ids)s::text[], %(keys)s::text[]) AS asked (client_id, idempotency_key)
JOIN submission AS s USING (client_id, idempotency_key)

-- fleet --
-- The settings of the fleet as the inventory gave them; no row before the first inventory.
SELECT value FROM setting WHERE name = 'fleet'

-- clients --
-- Clients by id, each with one of the domains it has mailboxes on, or ''.
SELECT c.id, c.unsubscribe_url, c.unsubscribe_mailto,
       coalesce((SELECT min(m.domain) FROM mailbox AS m WHERE m.client_id = c.id), '') AS domain
FROM client AS c
WHERE c.id = ANY(%(ids)s) AND NOT c.retired

-- mailboxes --
-- Mailboxes by address, with whose they are and the name that stands in From.
SELECT address, client_id, display_name FROM mailbox WHERE address = ANY(%(addresses)s)

-- suppressions --
-- What is suppressed among these recipients (addresses and @domains) for these clients or all.
SELECT client_id, recipient, reason
FROM suppression
WHERE client_id = ANY(%(client_ids)s) AND recipient = ANY(%(recipients)s)

-- receivers --
-- The receivers of these domains, as far as the DNS was asked and its answer still holds.
SELECT domain, receiver FROM mail_domain
WHERE domain = ANY(%(domains)s) AND outcome = 'found' AND due_at > now()
