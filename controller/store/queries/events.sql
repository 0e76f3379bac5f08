-- keep --
-- Stores reported events; gives the numbers of those that were not stored before.
INSERT INTO event (spool_id, seq, message_id, node_id, kind, at, queue_id, egress_id, dsn, relay,
                   reason, gateway_stage, log_line, provider, scope, permanent, rule)
SELECT %(spool_id)s, t.seq, t.message_id, %(node_id)s, t.kind, t.at, t.queue_id, t.egress_id,
       t.dsn, t.relay, t.reason, t.gateway_stage, t.log_line, t.provider, t.scope, t.permanent,
       t.rule
FROM unnest(%(seqs)s::bigint[], %(message_ids)s::text[], %(kinds)s::text[],
            %(ats)s::timestamptz[], %(queue_ids)s::text[], %(egress_ids)s::text[],
            %(dsns)s::text[], %(relays)s::text[], %(reasons)s::text[],
            %(gateway_stages)s::text[], %(log_lines)s::text[], %(providers)s::text[],
            %(scopes)s::text[], %(permanents)s::boolean[], %(rules)s::text[])
     AS t (seq, message_id, kind, at, queue_id, egress_id, dsn, relay, reason, gateway_stage,
           log_line, provider, scope, permanent, rule)
ON CONFLICT (spool_id, seq) DO NOTHING
RETURNING seq

-- messages --
-- The messages that a node reports on, locked, as far as this node had them last.
SELECT id, state, queue_id, attempts, reason, stored, epoch, not_before
FROM message WHERE id = ANY(%(ids)s) AND node_id = %(node_id)s
ORDER BY id FOR UPDATE

-- change --
-- Writes what the events made of the messages. No node may put one off for longer than a day.
UPDATE message AS m
SET state = t.state, queue_id = t.queue_id, attempts = t.attempts, reason = t.reason,
    stored = t.stored,
    final_at = CASE WHEN t.final THEN now() END,
    epoch = CASE WHEN t.state = 'scheduled' THEN NULL ELSE m.epoch END,
    not_before = greatest(m.not_before, least(t.not_before, now() + interval '1 day'))
FROM unnest(%(ids)s::text[], %(states)s::text[], %(queue_ids)s::text[], %(attempts)s::integer[],
            %(reasons)s::text[], %(stored)s::boolean[], %(final)s::boolean[], %(not_befores)s::timestamptz[])
     AS t (id, state, queue_id, attempts, reason, stored, final, not_before)
WHERE m.id = t.id
