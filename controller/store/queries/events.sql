-- keep --
-- Stores reported events; gives those that were not stored before. The arrays run in parallel and
-- hold each (spool, number) once.
INSERT INTO event (spool_id, seq, message_id, node_id, kind, at, queue_id, egress_id, dsn, relay,
                   reason, gateway_stage, log_line, provider, scope, permanent, rule)
SELECT * FROM unnest(
    %(spool_ids)b::text[], %(seqs)s::bigint[], %(message_ids)b::text[], %(node_ids)b::text[],
    %(kinds)b::text[], %(ats)s::timestamptz[], %(queue_ids)b::text[], %(egress_ids)b::text[],
    %(dsns)b::text[], %(relays)b::text[], %(reasons)b::text[], %(gateway_stages)b::text[],
    %(log_lines)b::text[], %(providers)b::text[], %(scopes)b::text[], %(permanents)s::boolean[],
    %(rules)b::text[])
ON CONFLICT (spool_id, seq) DO NOTHING
RETURNING spool_id, seq

-- messages --
-- The messages that nodes report on, as far as those nodes had them last; locked, in one order.
SELECT m.id, m.node_id, m.state, m.queue_id, m.attempts, m.reason, m.stored, m.epoch, m.not_before,
       m.client_id, m.mailbox, m.recipient, m.egress_id, coalesce(m.receiver, 'unknown') AS provider,
       m.lane = -1 AS warm_up
FROM unnest(%(ids)b::text[], %(node_ids)b::text[]) AS t (id, node_id)
JOIN message AS m ON m.id = t.id AND m.node_id = t.node_id
ORDER BY m.id
FOR UPDATE OF m

-- change --
-- Writes what the events made of the messages. No node may put one off for longer than a day.
UPDATE message AS m
SET state = t.state, queue_id = t.queue_id, attempts = t.attempts, reason = t.reason,
    stored = t.stored, epoch = t.epoch,
    final_at = CASE WHEN t.final THEN now() END,
    -- Its campaign took it for uncertain, and is to hear what came after all.
    awaited = m.awaited OR (m.state = 'uncertain' AND m.lane > 0),
    not_before = greatest(m.not_before, least(t.not_before, now() + interval '1 day'))
FROM unnest(%(ids)b::text[], %(states)b::text[], %(queue_ids)b::text[], %(attempts)s::integer[],
            %(reasons)b::text[], %(stored)s::boolean[], %(epochs)s::bigint[],
            %(final)s::boolean[], %(not_befores)s::timestamptz[])
     AS t (id, state, queue_id, attempts, reason, stored, epoch, final, not_before)
WHERE m.id = t.id
