-- Slots of mailboxes, and limits of hours, providers, domains and clients beside those of days.

-- What the inventory says of a client's and a domain's clock.
ALTER TABLE client ADD COLUMN time_zone text NOT NULL DEFAULT 'UTC',
                   ADD COLUMN windows text[] NOT NULL DEFAULT '{}',
                   ADD COLUMN per_day bigint,
                   DROP COLUMN planner_cursor;
ALTER TABLE domain ADD COLUMN time_zone text NOT NULL DEFAULT 'UTC';

-- A mailbox's slot. It is looked at again at `due_at`; -infinity: its slot is to be drawn.
ALTER TABLE mailbox
    ADD COLUMN due_at timestamptz NOT NULL DEFAULT '-infinity',
    ADD COLUMN slot_at timestamptz,
    ADD COLUMN seed bigint NOT NULL DEFAULT floor(random() * 9007199254740992)::bigint,
    ADD COLUMN held text NOT NULL DEFAULT '',
    ADD COLUMN held_since timestamptz,
    ADD COLUMN held_until timestamptz;
COMMENT ON COLUMN mailbox.slot_at IS 'the last slot it used';
COMMENT ON COLUMN mailbox.seed IS 'from which the jitter of each day follows';
COMMENT ON COLUMN mailbox.held IS 'the limit that kept it from using its slot; empty: none';
CREATE INDEX mailbox_due ON mailbox (client_id, due_at, address);

ALTER TABLE ledger DROP CONSTRAINT ledger_scope_check;
ALTER TABLE ledger ADD CONSTRAINT ledger_scope_check
    CHECK (scope IN ('mailbox', 'egress', 'domain', 'client', 'domain-provider'));
COMMENT ON COLUMN ledger.day IS 'a local day of the mailbox that sent';
CREATE TABLE ledger_hour (
    scope   text NOT NULL CHECK (scope IN ('mailbox', 'egress', 'provider-egress', 'domain-provider')),
    subject text NOT NULL,
    hour    timestamptz NOT NULL,
    used    integer NOT NULL CHECK (used >= 0),
    PRIMARY KEY (scope, subject, hour)
);
CREATE INDEX ledger_hour_by_hour ON ledger_hour (hour);
CREATE INDEX ledger_by_day ON ledger (day);

-- What a message was charged to, beside its mailbox, egress and charged_day.
ALTER TABLE message ADD COLUMN charged_hour timestamptz,
                    ADD COLUMN charged_provider text;
UPDATE message SET charged_hour = date_trunc('hour', not_before), charged_provider = 'unknown'
WHERE state = 'scheduled' AND charged_day IS NOT NULL;
DROP INDEX message_planned_for;
CREATE INDEX message_planned_for ON message (charged_hour, id) WHERE state = 'scheduled';

-- The best message is looked for provider by provider; one not looked up yet counts as unknown.
DROP INDEX message_waiting;
CREATE INDEX message_waiting
    ON message (client_id, (coalesce(provider, 'unknown')), mailbox, not_before, id)
    WHERE state = 'accepted' AND mailbox IS NOT NULL;
DROP INDEX message_waiting_for_choice;
CREATE INDEX message_waiting_for_choice
    ON message (client_id, (coalesce(provider, 'unknown')), not_before, id)
    WHERE state = 'accepted' AND mailbox IS NULL;
