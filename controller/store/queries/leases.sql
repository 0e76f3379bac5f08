-- take_session --
-- From now on this session speaks for the node; makes the lease's row where there is none.
INSERT INTO lease (node_id, session_id) VALUES (%(node_id)s, %(session_id)s)
ON CONFLICT (node_id) DO UPDATE SET session_id = excluded.session_id

-- may_renew --
-- Those of the sessions that ask for whose nodes a term may be renewed or begun now; their leases are
-- locked, in one order. Left out: the certificate is not in force, the session was superseded, or
-- the term is another machine's (other certificate and other boot) and not over yet. The arrays run
-- in parallel.
SELECT l.node_id, l.session_id, t.certificate_sha256, t.boot_id
FROM unnest(%(node_ids)b::text[], %(session_ids)b::text[], %(certificates)b::bytea[],
            %(boot_ids)b::text[]) AS t (node_id, session_id, certificate_sha256, boot_id)
JOIN lease AS l ON l.node_id = t.node_id AND l.session_id = t.session_id
JOIN node AS n ON n.id = t.node_id AND n.certificate_sha256 = t.certificate_sha256
WHERE NOT l.held
   OR l.certificate_sha256 = t.certificate_sha256
   OR (l.boot_id = t.boot_id AND l.boot_id <> '')
ORDER BY l.node_id
FOR NO KEY UPDATE OF l

-- renew --
-- Counts one renewal of each of these terms, or begins one where none is held; gives the epochs. The
-- node decides what is due by the clock named here (`at`), and hands nothing over later than ttl
-- after that: due_until. The arrays run in parallel.
UPDATE lease AS l
SET due_until = greatest(l.due_until, now() + make_interval(secs => %(ttl_ms)s / 1000.0)),
    renewals = l.renewals + 1,
    held = true,
    certificate_sha256 = t.certificate_sha256,
    boot_id = t.boot_id,
    ttl_ms = CASE WHEN l.held THEN greatest(l.ttl_ms, %(ttl_ms)s) ELSE %(ttl_ms)s END,
    margin_ms = CASE WHEN l.held THEN greatest(l.margin_ms, %(margin_ms)s) ELSE %(margin_ms)s END
FROM unnest(%(node_ids)b::text[], %(certificates)b::bytea[], %(boot_ids)b::text[])
     AS t (node_id, certificate_sha256, boot_id)
WHERE l.node_id = t.node_id
RETURNING l.node_id, l.epoch, now() AS at

-- term --
-- The epoch of the node's term, if it is held and this session speaks for the node; the term
-- cannot end until the transaction does.
SELECT epoch FROM lease
WHERE node_id = %(node_id)s AND session_id = %(session_id)s AND held
FOR SHARE

-- grant --
-- Takes the nodes' egresses into their current terms and gives all that are in them, those being
-- released too: they finish what runs. No row: the node has none. The arrays run in parallel.
WITH asked AS (
    SELECT * FROM unnest(%(node_ids)b::text[], %(epochs)s::bigint[]) AS t (node_id, epoch)
), granted AS (
    UPDATE assignment AS a SET epoch = t.epoch
    FROM asked AS t
    WHERE a.node_id = t.node_id AND a.epoch <> t.epoch
    RETURNING a.node_id, a.egress_id
)
SELECT node_id, array_agg(egress_id ORDER BY egress_id) AS egress_ids
FROM (
    SELECT node_id, egress_id FROM granted
    UNION
    SELECT a.node_id, a.egress_id
    FROM assignment AS a JOIN asked AS t ON t.node_id = a.node_id AND t.epoch = a.epoch
) AS held
GROUP BY node_id

-- leases --
-- All leases, for the observer.
SELECT node_id, epoch, renewals, held, ttl_ms, margin_ms FROM lease ORDER BY node_id

-- end_term --
-- Ends the term if nobody renewed it since it was looked at; no row touched: somebody did.
UPDATE lease SET epoch = epoch + 1, held = false
WHERE node_id = %(node_id)s AND epoch = %(epoch)s AND renewals = %(renewals)s AND held

-- fence --
-- Ends the term on an operator's word that the node is off; gives the epoch that is over.
UPDATE lease SET epoch = epoch + 1, held = false
WHERE node_id = %(node_id)s AND held
RETURNING epoch - 1 AS epoch

-- free_assignments --
-- Takes all egresses from a node whose term is over; gives them.
DELETE FROM assignment WHERE node_id = %(node_id)s RETURNING egress_id

-- mark_lost --
-- The node is not spoken for any more, and the spec it should run has changed.
UPDATE node SET connected = false, wanted_generation = wanted_generation + 1
WHERE id = %(node_id)s
