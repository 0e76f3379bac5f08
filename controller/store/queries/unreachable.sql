-- strikes --
-- How often this egress was out of some node's reach lately; a row only for one behind a proxy.
SELECT coalesce(max(u.strikes), 0) AS strikes
FROM egress AS e
LEFT JOIN unreachable AS u ON u.egress_id = e.id AND u.until > now() - %(remembered)s::interval
WHERE e.id = %(egress_id)s AND e.kind = 'socks5'
GROUP BY e.id

-- mark --
-- Keeps an egress and a node apart from now on; a row unless they are kept apart already.
INSERT INTO unreachable AS u (egress_id, node_id, stage, detail, since, until, strikes)
VALUES (%(egress_id)s, %(node_id)s, %(stage)s, %(detail)s, now(), now() + %(lasts)s::interval,
        %(strikes)s)
ON CONFLICT (egress_id, node_id) DO UPDATE
SET stage = excluded.stage, detail = excluded.detail, since = excluded.since,
    until = excluded.until, strikes = excluded.strikes
WHERE u.until <= now()
RETURNING until

-- lift --
-- The node reaches the egress again; a row where it was marked.
UPDATE unreachable SET until = now()
WHERE egress_id = %(egress_id)s AND node_id = %(node_id)s AND until > now()
RETURNING since, stage

-- lift_of_node --
-- The node is a new machine, or one installed anew: what the old one found says nothing of it. A row
-- for each mark that was lifted.
UPDATE unreachable SET until = now()
WHERE node_id = %(node_id)s AND until > now()
RETURNING egress_id

-- forget --
-- What was over long ago.
DELETE FROM unreachable WHERE until <= now() - %(remembered)s::interval

-- of_egress --
-- Who cannot reach this egress now.
SELECT node_id, detail, since, until FROM unreachable
WHERE egress_id = %(egress_id)s AND until > now()
ORDER BY node_id COLLATE "C"

-- live --
-- What holds now.
SELECT egress_id, node_id, stage, detail, since, until,
       extract(epoch FROM until - now())::float8 AS left_s
FROM unreachable WHERE until > now()
ORDER BY egress_id COLLATE "C", node_id COLLATE "C"
