-- What applying an inventory needs.

-- Two egresses may exchange their address or EHLO name in one transaction.
ALTER TABLE egress DROP CONSTRAINT egress_public_ip_key,
    ADD CONSTRAINT egress_public_ip_key UNIQUE (public_ip) DEFERRABLE INITIALLY DEFERRED,
    DROP CONSTRAINT egress_helo_name_key,
    ADD CONSTRAINT egress_helo_name_key UNIQUE (helo_name) DEFERRABLE INITIALLY DEFERRED;

-- A client that left the inventory while messages of it are on record. Nothing is accepted for it;
-- for everybody who looks for a client it does not exist.
ALTER TABLE client ADD COLUMN retired boolean NOT NULL DEFAULT false;

-- An egress that left the inventory while a node held it has state 'retired': it is given back and
-- assigned to nobody any more; the row goes when it is free.
COMMENT ON COLUMN egress.state IS 'active, or retired (gone from the inventory, not yet given back)';
