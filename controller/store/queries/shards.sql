-- nodes --
-- All nodes with their leases.
SELECT n.id, n.capacity, n.failure_domain, n.region, n.cordoned, n.draining, n.decommissioned,
       n.fenced, coalesce(l.held, false) AS held,
       l.node_id IS NULL OR (NOT l.held AND l.epoch = 1 AND l.renewals = 0) AS is_new,
       extract(epoch FROM now() - n.added_at)::float8 AS age_s
FROM node AS n LEFT JOIN lease AS l ON l.node_id = n.id
ORDER BY n.id COLLATE "C"

-- egresses --
-- All egresses of the inventory with the number of their mailboxes, where they are, and where they
-- are on their way to. What left the inventory is being given back and goes nowhere any more.
SELECT e.id, e.client_id, c.priority, e.only_node, e.region,
       coalesce(m.mailboxes, 0) AS mailboxes, a.node_id, a.epoch, a.state,
       s.from_node AS move_from, s.to_node AS move_to, s.reason AS move_reason,
       s.egress_id IS NOT NULL AND a.epoch > 0
           AND (m.mailboxes IS NULL
                OR EXISTS (SELECT 1 FROM running_mailbox AS r
                           WHERE r.node_id = a.node_id AND r.egress_id = e.id)) AS runs
FROM egress AS e
JOIN client AS c ON c.id = e.client_id
LEFT JOIN assignment AS a ON a.egress_id = e.id
LEFT JOIN shard_move AS s ON s.egress_id = e.id
LEFT JOIN (SELECT egress_id, count(*) AS mailboxes FROM mailbox GROUP BY egress_id) AS m
       ON m.egress_id = e.id
WHERE e.state <> 'retired'
ORDER BY e.id COLLATE "C"

-- order --
-- The order to rebalance, where there is one.
SELECT actor, reason, max_in_flight FROM rebalance

-- lock_leases --
-- Holds off grants and ends of terms of these nodes until the transaction ends.
SELECT node_id FROM lease WHERE node_id = ANY(%(node_ids)s) ORDER BY node_id FOR UPDATE

-- assign --
-- Gives free egresses to nodes (arrays of equal length); gives those it did. A node that was closed
-- since the plan was made gets nothing: the row lock waits for whoever is closing it.
INSERT INTO assignment (egress_id, node_id)
SELECT t.egress_id, t.node_id
FROM unnest(%(egress_ids)s::text[], %(node_ids)s::text[]) AS t (egress_id, node_id)
JOIN node AS n ON n.id = t.node_id
WHERE NOT (n.cordoned OR n.draining OR n.decommissioned OR n.fenced)
FOR SHARE OF n
ON CONFLICT (egress_id) DO NOTHING
RETURNING egress_id, node_id

-- begin_terms_for_returned --
-- Nodes that got back what they gave back in this very term begin a later one, without losing
-- their right: only then do their gateways open it again (arrays of equal length).
UPDATE lease AS l SET epoch = l.epoch + 1
WHERE l.node_id IN (
    SELECT g.node_id
    FROM unnest(%(egress_ids)s::text[], %(node_ids)s::text[]) AS t (egress_id, node_id)
    JOIN given_back AS g ON g.egress_id = t.egress_id AND g.node_id = t.node_id
    JOIN lease AS x ON x.node_id = g.node_id AND x.epoch = g.epoch)

-- withdraw --
-- Takes back what was assigned and never granted, or whose term is over (arrays of equal length);
-- gives those it did.
DELETE FROM assignment AS a
USING unnest(%(egress_ids)s::text[], %(node_ids)s::text[]) AS t (egress_id, node_id)
WHERE a.egress_id = t.egress_id AND a.node_id = t.node_id
  AND (a.epoch = 0
       OR NOT EXISTS (SELECT 1 FROM lease AS l WHERE l.node_id = a.node_id AND l.held))
RETURNING a.egress_id, a.node_id

-- withdraw_idle --
-- Frees what is to be given back by nodes that hold it in no term: nothing is open there.
DELETE FROM assignment AS a
WHERE a.state = 'releasing'
  AND (a.epoch = 0
       OR NOT EXISTS (SELECT 1 FROM lease AS l WHERE l.node_id = a.node_id AND l.held))
RETURNING a.egress_id, a.node_id

-- ask_back --
-- Begins the planned release of egresses (arrays of equal length); gives those it did.
UPDATE assignment AS a SET state = 'releasing'
FROM unnest(%(egress_ids)s::text[], %(node_ids)s::text[]) AS t (egress_id, node_id)
WHERE a.egress_id = t.egress_id AND a.node_id = t.node_id
  AND a.state = 'assigned' AND a.epoch > 0
RETURNING a.egress_id, a.node_id

-- begin_moves --
-- Egresses are on their way (arrays of equal length). One that was on its way already begins anew:
-- its target could not keep it.
INSERT INTO shard_move (egress_id, from_node, to_node, reason)
SELECT * FROM unnest(%(egress_ids)s::text[], %(from_nodes)s::text[], %(to_nodes)s::text[],
                     %(reasons)s::text[])
ON CONFLICT (egress_id) DO UPDATE
SET from_node = excluded.from_node, to_node = excluded.to_node, reason = excluded.reason,
    began_at = now()

-- retarget_moves --
-- Egresses on their way go elsewhere now (arrays of equal length).
UPDATE shard_move AS s SET to_node = t.to_node
FROM unnest(%(egress_ids)s::text[], %(to_nodes)s::text[]) AS t (egress_id, to_node)
WHERE s.egress_id = t.egress_id

-- end_moves --
-- These have arrived.
DELETE FROM shard_move WHERE egress_id = ANY(%(egress_ids)s)

-- end_order --
-- The order to rebalance is carried out, or called off; gives it.
DELETE FROM rebalance RETURNING actor, reason, max_in_flight, began_at
