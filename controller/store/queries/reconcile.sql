-- nodes --
-- All nodes with their leases.
SELECT n.id, n.capacity, n.failure_domain, n.region, n.cordoned, n.decommissioned, n.fenced,
       n.certificate_sha256 IS NOT NULL AS enrolled,
       coalesce(l.held, false) AS held, coalesce(l.epoch, 1) AS epoch,
       coalesce(l.renewals, 0) AS renewals
FROM node AS n LEFT JOIN lease AS l ON l.node_id = n.id
ORDER BY n.id COLLATE "C"

-- egresses --
-- All egresses of the inventory with the number of their mailboxes and where they are. What left it
-- is being given back and goes nowhere any more.
SELECT e.id, e.client_id, c.priority, e.only_node, e.region,
       coalesce(m.mailboxes, 0) AS mailboxes, a.node_id, a.epoch, a.state
FROM egress AS e
JOIN client AS c ON c.id = e.client_id
LEFT JOIN assignment AS a ON a.egress_id = e.id
LEFT JOIN (SELECT egress_id, count(*) AS mailboxes FROM mailbox GROUP BY egress_id) AS m
       ON m.egress_id = e.id
WHERE e.state <> 'retired'
ORDER BY e.id COLLATE "C"

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
WHERE NOT n.cordoned AND NOT n.decommissioned AND NOT n.fenced
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
