-- Campaigns, their recipients, what is still to follow; and lanes, in which their messages wait.

CREATE TABLE campaign (
    id             text PRIMARY KEY,
    client_id      text NOT NULL REFERENCES client (id),
    state          text NOT NULL DEFAULT 'running'
                   CHECK (state IN ('running', 'paused', 'finished', 'cancelled')),
    text_sha256    bytea NOT NULL,
    message_domain text NOT NULL,
    priority       integer NOT NULL CHECK (priority BETWEEN 0 AND 100),
    burst_per_hour integer CHECK (burst_per_hour > 0),
    windows        text[] NOT NULL,
    time_zone      text NOT NULL,
    domains        text[],
    mailboxes      text[],
    delays_days    integer[] NOT NULL,
    on_uncertain   text NOT NULL CHECK (on_uncertain IN ('stop', 'resend')),
    reason         text NOT NULL DEFAULT '',
    ending         boolean NOT NULL DEFAULT false,
    created_at     timestamptz NOT NULL DEFAULT now(),
    created_by     text NOT NULL,
    changed_at     timestamptz NOT NULL DEFAULT now(),
    changed_by     text NOT NULL
);
COMMENT ON COLUMN campaign.ending IS 'cancelled, and not all of its messages have ended yet';
COMMENT ON COLUMN campaign.text_sha256 IS 'of its templates: a text is fixed once it began';
COMMENT ON COLUMN campaign.message_domain IS 'stands in the Message-ID of its messages';
COMMENT ON COLUMN campaign.domains IS 'of the pool, beside mailboxes; NULL: all of the client''s';
COMMENT ON COLUMN campaign.delays_days IS 'of each follow-up, after the message before it';
CREATE INDEX campaign_of_client ON campaign (client_id, id);

-- In a lane wait the messages of a campaign to recipients of one time zone; follow-ups have their own.
CREATE TABLE campaign_lane (
    id          integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    campaign_id text NOT NULL REFERENCES campaign (id),
    time_zone   text NOT NULL,
    follow_up   boolean NOT NULL,
    UNIQUE (campaign_id, time_zone, follow_up)
);

-- A recipient of a campaign, once for each address.
CREATE TABLE campaign_recipient (
    campaign_id text NOT NULL REFERENCES campaign (id),
    recipient   text COLLATE "C" NOT NULL,
    time_zone   text NOT NULL,
    step        integer NOT NULL DEFAULT 0,
    message_id  text COLLATE "C",
    mailbox     text,
    next_at     timestamptz,
    state       text NOT NULL CHECK (state IN ('open', 'done', 'stopped', 'refused')),
    reason      text NOT NULL DEFAULT '',
    PRIMARY KEY (campaign_id, recipient)
);
COMMENT ON COLUMN campaign_recipient.recipient IS 'in lower case';
COMMENT ON COLUMN campaign_recipient.step IS '0: the first message';
COMMENT ON COLUMN campaign_recipient.message_id IS 'of that step';
COMMENT ON COLUMN campaign_recipient.next_at IS 'when the next follow-up is due; NULL: none is, yet';
CREATE INDEX campaign_recipient_due ON campaign_recipient (next_at)
    WHERE state = 'open' AND next_at IS NOT NULL;
CREATE INDEX campaign_recipient_open ON campaign_recipient (campaign_id) WHERE state = 'open';

-- What follows, as it will be sent but for the header lines that name the message before it.
CREATE TABLE campaign_follow_up (
    campaign_id text NOT NULL,
    recipient   text COLLATE "C" NOT NULL,
    step        integer NOT NULL CHECK (step > 0),
    address     text NOT NULL,
    content     bytea NOT NULL,
    PRIMARY KEY (campaign_id, recipient, step),
    FOREIGN KEY (campaign_id, recipient) REFERENCES campaign_recipient (campaign_id, recipient)
);

-- Constants: no row is written again.
ALTER TABLE message ADD COLUMN lane integer NOT NULL DEFAULT 0,
                    ADD COLUMN awaited boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN message.lane IS 'of a campaign; 0: of none';
COMMENT ON COLUMN message.awaited IS 'its campaign has not looked yet at how it ended';
CREATE INDEX message_ended_in_campaign ON message (lane, id)
    WHERE awaited AND state IN ('sent', 'bounced', 'expired', 'suppressed', 'cancelled', 'uncertain');
CREATE INDEX message_of_lane ON message (lane, state, id) WHERE lane > 0;

-- The best message is looked for lane by lane, and there provider by provider.
DROP INDEX message_waiting;
CREATE INDEX message_waiting
    ON message (client_id, lane, (coalesce(provider, 'unknown')), mailbox, not_before, id)
    WHERE state = 'accepted' AND mailbox IS NOT NULL;
DROP INDEX message_waiting_for_choice;
CREATE INDEX message_waiting_for_choice
    ON message (client_id, lane, (coalesce(provider, 'unknown')), not_before, id)
    WHERE state = 'accepted' AND mailbox IS NULL;

ALTER TABLE ledger_hour DROP CONSTRAINT ledger_hour_scope_check;
ALTER TABLE ledger_hour ADD CONSTRAINT ledger_hour_scope_check
    CHECK (scope IN ('mailbox', 'egress', 'provider-egress', 'domain-provider', 'campaign'));
