-- Lifecycle states, and how far mailboxes and egresses are in their warm-up.

ALTER TABLE mailbox ADD COLUMN warming text NOT NULL DEFAULT '', ADD CONSTRAINT mailbox_state_check
    CHECK (state IN ('warming', 'active', 'paused', 'quarantined', 'cooldown', 'reserve', 'retired'));
ALTER TABLE domain ADD CONSTRAINT domain_state_check
    CHECK (state IN ('warming', 'active', 'paused', 'quarantined', 'cooldown', 'reserve', 'retired'));
ALTER TABLE egress ADD COLUMN warming text NOT NULL DEFAULT '', ADD CONSTRAINT egress_state_check
    CHECK (state IN ('warming', 'active', 'paused', 'quarantined', 'cooldown', 'reserve', 'retired'));
COMMENT ON COLUMN mailbox.warming IS 'how it is to begin, by the inventory: empty, true, or since when';
COMMENT ON COLUMN egress.warming IS 'how it is to begin, by the inventory: empty, true, or since when';

CREATE TABLE warm_up (
    scope text NOT NULL CHECK (scope IN ('mailbox', 'egress')),
    subject text NOT NULL,
    -- Of the curve, from 1: what holds now.
    day integer NOT NULL CHECK (day >= 1),
    -- The last local day that was judged.
    judged date NOT NULL,
    -- freeze: stays where it is while this stands; back: steps back once.
    signal text NOT NULL DEFAULT '' CHECK (signal IN ('', 'freeze', 'back')),
    signal_reason text NOT NULL DEFAULT '',
    PRIMARY KEY (scope, subject)
);
-- The local days on which something warming really sent: a receiver took a message.
CREATE TABLE warm_up_sent (
    scope text NOT NULL,
    subject text NOT NULL,
    day date NOT NULL,
    PRIMARY KEY (scope, subject, day)
);
