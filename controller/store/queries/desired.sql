-- settings --
-- A setting of the fleet by name; no row before the first inventory.
SELECT value FROM setting WHERE name = %(name)s

-- node --
-- What a spec says of the node itself; holds off changes of its generation until the end of the
-- transaction, so that what is read then is what the generation means.
SELECT id, hostname, wanted_generation FROM node WHERE id = %(node_id)s FOR SHARE

-- egresses --
-- The egresses assigned to a node, those it is giving back included (what runs there finishes).
SELECT e.id, e.client_id, host(e.public_ip) AS public_ip, e.helo_name, e.kind, e.host, e.port,
       e.username, e.sealed_password, e.surrogate_index,
       coalesce(array_agg(m.address ORDER BY m.address COLLATE "C")
                FILTER (WHERE m.address IS NOT NULL), '{}') AS mailboxes
FROM assignment AS a
JOIN egress AS e ON e.id = a.egress_id
LEFT JOIN mailbox AS m ON m.egress_id = e.id
WHERE a.node_id = %(node_id)s
GROUP BY e.id
ORDER BY e.id COLLATE "C"

-- dkim_keys --
-- One key for each domain that has a mailbox on the node: that of the domain's present selector.
SELECT k.domain, k.selector, k.sealed_key
FROM dkim_key AS k
JOIN domain AS d ON d.name = k.domain AND d.dkim_selector = k.selector
WHERE EXISTS (SELECT 1 FROM mailbox AS m
              JOIN assignment AS a ON a.egress_id = m.egress_id
              WHERE m.domain = k.domain AND a.node_id = %(node_id)s)
ORDER BY k.domain COLLATE "C"
