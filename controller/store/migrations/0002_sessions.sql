-- What sessions, leases and dispatch must remember.

ALTER TABLE node ADD COLUMN disk_free_bytes bigint NOT NULL DEFAULT 0;
ALTER TABLE node ADD COLUMN open_connections integer NOT NULL DEFAULT 0;

-- Which session speaks for the node; a newer one ends the older, also on another controller.
ALTER TABLE lease ADD COLUMN session_id text NOT NULL DEFAULT '';
-- Whose term it is. A machine with another certificate and another boot waits until the term is
-- over: the one before it may still be sending.
ALTER TABLE lease ADD COLUMN certificate_sha256 bytea;
ALTER TABLE lease ADD COLUMN boot_id text NOT NULL DEFAULT '';
-- The longest that was granted in this term: settings may shrink while an old grant is trusted.
ALTER TABLE lease ADD COLUMN ttl_ms integer NOT NULL DEFAULT 0;
ALTER TABLE lease ADD COLUMN margin_ms integer NOT NULL DEFAULT 0;

-- Where and in which term it was given back last. A gateway keeps an egress closed for the rest of
-- that term, so the same node gets it again in a later one only.
ALTER TABLE egress ADD COLUMN released_by text;
ALTER TABLE egress ADD COLUMN released_epoch bigint;

-- What a node's running generation holds. Messages go only to a node that runs their mailbox.
CREATE TABLE running_mailbox (
    node_id   text NOT NULL REFERENCES node ON DELETE CASCADE,
    address   text NOT NULL,
    egress_id text NOT NULL,
    PRIMARY KEY (node_id, address)
);
