-- node_for_hello --
-- What is known of a node that says hello; locks its row.
SELECT certificate_sha256, spool_id, running_generation, wanted_generation, boot_id, fenced
FROM node WHERE id = %(node_id)s FOR UPDATE

-- begin --
-- The node is connected. A fence ends where it has booted since. A node that runs a later generation than is wanted (the database was
-- restored from a backup) is given a still later one.
UPDATE node
SET connected = true, last_seen = now(), agent_version = %(agent_version)s,
    boot_id = %(boot_id)s, spool_id = %(spool_id)s, running_generation = %(running_generation)s,
    wanted_generation = CASE WHEN wanted_generation < %(running_generation)s
                             THEN %(running_generation)s + 1 ELSE wanted_generation END,
    fenced = fenced AND boot_id IN ('', %(boot_id)s)
WHERE id = %(node_id)s

-- end --
-- The session ended; nothing changes where a newer one speaks for the node.
UPDATE node SET connected = false
WHERE id = %(node_id)s
  AND EXISTS (SELECT 1 FROM lease WHERE node_id = id AND session_id = %(session_id)s)

-- seen --
-- What heartbeats say of nodes. One whose row is being changed just now is left to its next
-- heartbeat: a renewal waits for nobody. The arrays run in parallel.
WITH free AS (
    SELECT id FROM node WHERE id = ANY(%(node_ids)b::text[])
    FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE node AS n
SET connected = true, last_seen = now(), spooled = t.spooled, queued = t.queued,
    deferred = t.deferred, disk_free_bytes = t.disk_free_bytes,
    open_connections = t.open_connections
FROM unnest(%(node_ids)b::text[], %(spooled)s::bigint[], %(queued)s::bigint[],
            %(deferred)s::bigint[], %(disk_free_bytes)s::bigint[], %(open_connections)s::integer[])
     AS t (node_id, spooled, queued, deferred, disk_free_bytes, open_connections)
WHERE n.id = t.node_id AND n.id IN (SELECT id FROM free)

-- spec_outcome --
-- What the node runs, and why it does not run what was sent (empty: it does).
UPDATE node SET running_generation = %(running_generation)s, spec_error = %(spec_error)s
WHERE id = %(node_id)s

-- forget_running --
-- Nothing is known of what the node runs.
DELETE FROM running_mailbox WHERE node_id = %(node_id)s

-- record_running --
-- The node runs these mailboxes on these egresses (arrays of equal length).
INSERT INTO running_mailbox (node_id, address, egress_id)
SELECT %(node_id)s, m.address, m.egress_id
FROM unnest(%(addresses)s::text[], %(egress_ids)s::text[]) AS m (address, egress_id)

-- record_wanted --
-- The node runs exactly what is wanted now.
INSERT INTO running_mailbox (node_id, address, egress_id)
SELECT a.node_id, m.address, m.egress_id
FROM assignment AS a JOIN mailbox AS m ON m.egress_id = a.egress_id
WHERE a.node_id = %(node_id)s

-- watch --
-- What may have changed for the nodes that this controller talks to.
SELECT n.id AS node_id, n.wanted_generation, n.certificate_sha256, l.session_id, l.epoch, l.held,
       coalesce((SELECT array_agg(a.egress_id ORDER BY a.egress_id COLLATE "C") FROM assignment AS a
                 WHERE a.node_id = n.id AND a.state = 'releasing' AND a.epoch = l.epoch),
                '{}') AS releasing,
       l.held AND EXISTS (SELECT 1 FROM assignment AS a
                          WHERE a.node_id = n.id AND a.epoch <> l.epoch) AS ungranted
FROM node AS n JOIN lease AS l ON l.node_id = n.id
WHERE n.id = ANY(%(node_ids)s)

-- suspensions --
-- The suspensions that hold now, for each of these nodes those that concern it, in a fixed order.
WITH active AS (
    SELECT scope, subject, concat_ws(': ', nullif(stage, ''), reason) AS reason, until
    FROM suspension WHERE until IS NULL OR until > now()
), held AS (
    SELECT node_id, egress_id FROM assignment WHERE node_id = ANY(%(node_ids)s)
)
SELECT h.node_id, s.scope, s.subject, s.reason, s.until
FROM active AS s JOIN held AS h ON s.scope = 'egress' AND h.egress_id = s.subject
UNION
SELECT h.node_id, s.scope, s.subject, s.reason, s.until
FROM active AS s
JOIN mailbox AS m ON (s.scope = 'mailbox' AND m.address = s.subject)
                  OR (s.scope = 'domain' AND m.domain = s.subject)
                  OR (s.scope = 'client' AND m.client_id = s.subject)
JOIN held AS h ON h.egress_id = m.egress_id
ORDER BY 1, 2, 3, 4

-- nodes_for_discovery --
-- What Prometheus should scrape: nodes that have a certificate and are in service.
SELECT id, host(address) AS address, failure_domain FROM node
WHERE certificate_sha256 IS NOT NULL AND NOT decommissioned ORDER BY id
