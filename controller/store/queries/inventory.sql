-- settings --
-- The fleet's settings; no row before the first inventory.
SELECT value FROM setting WHERE name = 'fleet'

-- clients --
-- Clients of the inventory, without those that left it.
SELECT id, name, unsubscribe_url, unsubscribe_mailto, priority, time_zone, windows, per_day
FROM client WHERE NOT retired ORDER BY id

-- domains --
-- All domains.
SELECT name, client_id, dkim_selector, dmarc_policy, time_zone FROM domain ORDER BY name

-- egresses --
-- All egresses, also those that left the inventory and are not given back yet.
SELECT id, client_id, host(public_ip) AS public_ip, helo_name, region, kind, host, port, username,
       sealed_password, only_node, state = 'retired' AS retired, warming
FROM egress ORDER BY id

-- mailboxes --
-- All mailboxes.
SELECT address, domain, client_id, egress_id, display_name, warming FROM mailbox ORDER BY address

-- nodes --
-- All nodes.
SELECT id, host(address) AS address, hostname, ssh_port, ssh_user, host_key, capacity,
       failure_domain, region, monthly_cost_eur::float8 AS monthly_cost_eur
FROM node ORDER BY id

-- lock_messages --
-- Nobody adds or moves a message until the transaction ends: what is counted stays true.
LOCK TABLE message IN SHARE ROW EXCLUSIVE MODE

-- lock_assignments --
-- Nobody assigns or gives back an egress until the transaction ends.
LOCK TABLE assignment IN SHARE ROW EXCLUSIVE MODE

-- open_messages --
-- Messages without a final state by whom they hold up; `on_node`: a node has them or gets them.
SELECT client_id, mailbox, egress_id, node_id,
       state IN ('dispatched', 'queued', 'uncertain') AS on_node, count(*) AS messages
FROM message
WHERE state IN ('accepted', 'scheduled', 'dispatched', 'queued', 'uncertain')
GROUP BY client_id, mailbox, egress_id, node_id, on_node

-- holders --
-- Which node may be using an egress: it was granted in a term that is not over.
SELECT a.egress_id, a.node_id
FROM assignment AS a JOIN lease AS l ON l.node_id = a.node_id
WHERE a.epoch > 0 AND l.held

-- nodes_in_service --
-- Nodes that were enrolled and not decommissioned, or whose term is not over.
SELECT n.id
FROM node AS n LEFT JOIN lease AS l ON l.node_id = n.id
WHERE (n.certificate_sha256 IS NOT NULL AND NOT n.decommissioned) OR coalesce(l.held, false)

-- scheduled_for_mailboxes --
-- Messages for which an egress was chosen that no node has yet, locked.
SELECT id FROM message
WHERE state = 'scheduled' AND mailbox = ANY(%(addresses)s)
ORDER BY id
FOR UPDATE

-- dkim_keys --
-- Which keys there are.
SELECT domain, selector FROM dkim_key

-- put_settings --
-- Stores the fleet's settings.
INSERT INTO setting (name, value) VALUES ('fleet', %(value)s)
ON CONFLICT (name) DO UPDATE SET value = excluded.value

-- put_client --
-- Adds a client, takes one back that had left, or changes one.
INSERT INTO client (id, name, unsubscribe_url, unsubscribe_mailto, priority, time_zone, windows,
                    per_day)
VALUES (%(id)s, %(name)s, %(unsubscribe_url)s, %(unsubscribe_mailto)s, %(priority)s, %(time_zone)s,
        %(windows)s, %(per_day)s)
ON CONFLICT (id) DO UPDATE
SET name = excluded.name, unsubscribe_url = excluded.unsubscribe_url,
    unsubscribe_mailto = excluded.unsubscribe_mailto, priority = excluded.priority,
    time_zone = excluded.time_zone, windows = excluded.windows, per_day = excluded.per_day, retired = false

-- put_domain --
-- Adds or changes a domain.
INSERT INTO domain (name, client_id, dkim_selector, dmarc_policy, time_zone)
VALUES (%(name)s, %(client_id)s, %(dkim_selector)s, %(dmarc_policy)s, %(time_zone)s)
ON CONFLICT (name) DO UPDATE
SET client_id = excluded.client_id, dkim_selector = excluded.dkim_selector,
    dmarc_policy = excluded.dmarc_policy, time_zone = excluded.time_zone

-- put_dkim_key --
-- Adds a domain's signing key.
INSERT INTO dkim_key (domain, selector, public_key, sealed_key)
VALUES (%(domain)s, %(selector)s, %(public_key)s, %(sealed_key)s)

-- add_egress --
-- Adds an egress with a surrogate address that no egress had before. The 65534th is the address
-- at which the gateway answers probes, 198.18.255.254.
INSERT INTO egress (id, client_id, public_ip, helo_name, region, kind, host, port, username,
                    sealed_password, only_node, warming, state, surrogate_index)
VALUES (%(id)s, %(client_id)s, %(public_ip)s, %(helo_name)s, %(region)s, %(kind)s, %(host)s,
        %(port)s, %(username)s, %(sealed_password)s, %(only_node)s, %(warming)s,
        CASE WHEN %(warming)s = '' THEN 'active' ELSE 'warming' END,
        (SELECT CASE next.number WHEN 65534 THEN nextval('egress_surrogate') ELSE next.number END
         FROM (SELECT nextval('egress_surrogate') AS number) AS next))

-- change_egress --
-- Changes an egress, which thereby is of the inventory again if it had left: then, and where
-- `warming` changes, its state begins anew. `keep_password`: the sealed one stays as it is.
UPDATE egress
SET client_id = %(client_id)s, public_ip = %(public_ip)s, helo_name = %(helo_name)s,
    region = %(region)s, kind = %(kind)s, host = %(host)s, port = %(port)s,
    username = %(username)s, only_node = %(only_node)s, warming = %(warming)s,
    state = CASE WHEN state <> 'retired' AND warming = %(warming)s THEN state
                 WHEN %(warming)s = '' THEN 'active' ELSE 'warming' END,
    sealed_password = CASE WHEN %(keep_password)s THEN sealed_password
                           ELSE %(sealed_password)s END
WHERE id = %(id)s

-- retire_egress --
-- Marks an egress as gone from the inventory.
UPDATE egress SET state = 'retired' WHERE id = %(id)s

-- release_egress --
-- Asks the node that has it to give it back.
UPDATE assignment SET state = 'releasing' WHERE egress_id = %(id)s

-- put_mailbox --
-- Changes a mailbox, or adds one. Its state is only touched where `warming` changes.
INSERT INTO mailbox AS b (address, domain, client_id, egress_id, display_name, warming, state)
VALUES (%(address)s, %(domain)s, %(client_id)s, %(egress_id)s, %(display_name)s, %(warming)s,
        CASE WHEN %(warming)s = '' THEN 'active' ELSE 'warming' END)
ON CONFLICT (address) DO UPDATE
SET domain = excluded.domain, client_id = excluded.client_id, egress_id = excluded.egress_id,
    display_name = excluded.display_name, warming = excluded.warming,
    state = CASE WHEN b.warming = excluded.warming THEN b.state ELSE excluded.state END

-- put_node --
-- Adds or changes a node.
INSERT INTO node (id, address, hostname, ssh_port, ssh_user, host_key, capacity, failure_domain,
                  region, monthly_cost_eur)
VALUES (%(id)s, %(address)s, %(hostname)s, %(ssh_port)s, %(ssh_user)s, %(host_key)s, %(capacity)s,
        %(failure_domain)s, %(region)s, %(monthly_cost_eur)s)
ON CONFLICT (id) DO UPDATE
SET address = excluded.address, hostname = excluded.hostname, ssh_port = excluded.ssh_port,
    ssh_user = excluded.ssh_user, host_key = excluded.host_key, capacity = excluded.capacity,
    failure_domain = excluded.failure_domain, region = excluded.region,
    monthly_cost_eur = excluded.monthly_cost_eur

-- remove_mailbox --
-- Removes a mailbox.
DELETE FROM mailbox WHERE address = %(id)s

-- withdraw_egress --
-- Takes an egress from the node that was to have it and never did.
DELETE FROM assignment WHERE egress_id = %(id)s

-- unassign_node --
-- Takes all egresses from a node that was to have them and never did: placement gives them to others.
DELETE FROM assignment WHERE node_id = %(id)s

-- remove_egress --
-- Removes an egress that no node has.
DELETE FROM egress WHERE id = %(id)s

-- remove_domain --
-- Removes a domain with its keys.
DELETE FROM domain WHERE name = %(id)s

-- remove_client --
-- Removes a client of which nothing is on record.
DELETE FROM client AS c
WHERE c.id = %(id)s
  AND NOT EXISTS (SELECT 1 FROM message AS m WHERE m.client_id = c.id)
  AND NOT EXISTS (SELECT 1 FROM egress AS e WHERE e.client_id = c.id)

-- retire_client --
-- Marks a client as gone whose messages, or egresses not yet given back, are on record.
UPDATE client SET retired = true WHERE id = %(id)s

-- remove_node --
-- Removes a node that holds nothing.
DELETE FROM node WHERE id = %(id)s

-- drop_suspensions --
-- Suspensions end with what they were about.
DELETE FROM suspension WHERE scope = %(scope)s AND subject = %(id)s

-- raise_generations --
-- The spec changed of every node that has one of these egresses, and of these nodes.
UPDATE node SET wanted_generation = wanted_generation + 1
WHERE id = ANY(%(node_ids)s)
   OR id IN (SELECT node_id FROM assignment WHERE egress_id = ANY(%(egress_ids)s))

-- raise_all_generations --
-- The spec of every node changed.
UPDATE node SET wanted_generation = wanted_generation + 1
