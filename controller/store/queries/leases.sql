-- take_session --
-- From now on this session speaks for the node; makes the lease's row where there is none.
INSERT INTO lease (node_id, session_id) VALUES (%(node_id)s, %(session_id)s)
ON CONFLICT (node_id) DO UPDATE SET session_id = excluded.session_id

-- renew --
-- Counts one renewal of the node's term, or begins a term where none is held; gives its epoch. No
-- row: the certificate is not in force, the session was superseded, or the term is another
-- machine's (other certificate and other boot) and not over yet. The node decides what is due by the
-- clock named here (`at`), and hands nothing over later than ttl after that: due_until.
UPDATE lease AS l
SET due_until = greatest(l.due_until, now() + make_interval(secs => %(ttl_ms)s / 1000.0)),
    renewals = l.renewals + 1,
    held = true,
    certificate_sha256 = %(certificate_sha256)s,
    boot_id = %(boot_id)s,
    ttl_ms = CASE WHEN l.held THEN greatest(l.ttl_ms, %(ttl_ms)s) ELSE %(ttl_ms)s END,
    margin_ms = CASE WHEN l.held THEN greatest(l.margin_ms, %(margin_ms)s) ELSE %(margin_ms)s END
FROM node AS n
WHERE l.node_id = %(node_id)s
  AND n.id = l.node_id
  AND n.certificate_sha256 = %(certificate_sha256)s
  AND l.session_id = %(session_id)s
  AND (NOT l.held
       OR l.certificate_sha256 = %(certificate_sha256)s
       OR (l.boot_id = %(boot_id)s AND l.boot_id <> ''))
RETURNING l.epoch, l.renewals, now() AS at

-- term --
-- The epoch of the node's term, if it is held and this session speaks for the node; the term
-- cannot end until the transaction does.
SELECT epoch FROM lease
WHERE node_id = %(node_id)s AND session_id = %(session_id)s AND held
FOR SHARE

-- grant --
-- Takes the node's egresses into its current term and gives all that are in it, those being
-- released too: they finish what runs.
WITH granted AS (
    UPDATE assignment AS a SET epoch = %(epoch)s
    WHERE a.node_id = %(node_id)s AND a.epoch <> %(epoch)s
    RETURNING a.egress_id
)
SELECT egress_id FROM granted
UNION
SELECT egress_id FROM assignment WHERE node_id = %(node_id)s AND epoch = %(epoch)s
ORDER BY 1

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
