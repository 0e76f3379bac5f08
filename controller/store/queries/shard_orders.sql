-- set_draining --
-- The node gives everything back.
UPDATE node SET draining = true, cordoned = true WHERE id = %(node_id)s

-- begin_order --
-- An order to rebalance; no row: there is one.
INSERT INTO rebalance (actor, reason, max_in_flight)
VALUES (%(actor)s, %(reason)s, %(max_in_flight)s)
ON CONFLICT (only_one) DO NOTHING
RETURNING actor

-- order_since --
-- Who ordered to rebalance, and when.
SELECT actor, began_at, max_in_flight FROM rebalance

-- moves --
-- Planned moves under way, the oldest first, each with how far it is. What has no target counts for
-- nothing: no node has room for it.
SELECT s.egress_id, e.client_id, s.from_node, coalesce(s.to_node, '') AS to_node, s.reason,
       s.began_at, (SELECT count(*) FROM mailbox AS m WHERE m.egress_id = e.id) AS mailboxes,
       CASE WHEN a.egress_id IS NULL THEN 'waits for room'
            WHEN a.state = 'releasing' THEN 'being given back'
            WHEN a.epoch = 0 THEN 'assigned'
            WHEN n.spec_error <> '' THEN 'not applied: ' || n.spec_error
            ELSE 'being applied' END AS stage
FROM shard_move AS s
JOIN egress AS e ON e.id = s.egress_id
LEFT JOIN assignment AS a ON a.egress_id = s.egress_id
LEFT JOIN node AS n ON n.id = a.node_id
ORDER BY s.began_at, s.egress_id COLLATE "C"
