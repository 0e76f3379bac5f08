-- at_stake --
-- A node with its term and what it holds; silent_s: seconds since it was heard last, by the
-- database's clock.
SELECT n.connected, n.fenced, n.decommissioned, n.last_seen,
       extract(epoch FROM now() - n.last_seen)::float8 AS silent_s,
       coalesce(l.epoch, 0) AS epoch, coalesce(l.held, false) AS held,
       (SELECT count(*) FROM assignment AS a WHERE a.node_id = n.id) AS egresses,
       (SELECT count(*) FROM assignment AS a JOIN mailbox AS m ON m.egress_id = a.egress_id
        WHERE a.node_id = n.id) AS mailboxes,
       (SELECT coalesce(array_agg(DISTINCT e.client_id ORDER BY e.client_id), '{}')
        FROM assignment AS a JOIN egress AS e ON e.id = a.egress_id
        WHERE a.node_id = n.id) AS clients
FROM node AS n LEFT JOIN lease AS l ON l.node_id = n.id
WHERE n.id = %(node_id)s

-- messages_on_node --
-- Messages that a node was given and has not reported the end of; deferred: tried at least once;
-- not_due: certainly not handed over (take_back_not_due of dispatch.sql).
SELECT m.state, count(*) AS messages, count(*) FILTER (WHERE m.attempts > 0) AS deferred,
       count(*) FILTER (WHERE m.state = 'dispatched' AND m.not_before > l.due_until) AS not_due
FROM message AS m JOIN lease AS l ON l.node_id = m.node_id
WHERE m.node_id = %(node_id)s AND m.state IN ('dispatched', 'queued')
GROUP BY m.state

-- set_fenced --
-- Whether the node is kept out because an operator attested that it is off.
UPDATE node SET fenced = %(fenced)s WHERE id = %(node_id)s
