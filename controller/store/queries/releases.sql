-- released --
-- The node gave an egress back in the term in which it had it: free. No row: stale, or not asked.
DELETE FROM assignment
WHERE egress_id = %(egress_id)s AND node_id = %(node_id)s AND epoch = %(epoch)s
  AND state = 'releasing'
RETURNING egress_id

-- remember_release --
-- In this term the node's gateway keeps the egress closed.
INSERT INTO given_back (node_id, egress_id, epoch)
VALUES (%(node_id)s, %(egress_id)s, %(epoch)s)
ON CONFLICT (node_id, egress_id) DO UPDATE SET epoch = excluded.epoch

-- raise_generation --
-- What these nodes should run has changed.
UPDATE node SET wanted_generation = wanted_generation + 1 WHERE id = ANY(%(node_ids)s)
