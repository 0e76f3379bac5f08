-- Warm-ups toward single providers, each with a day of its own.

ALTER TABLE warm_up
    ADD COLUMN provider text NOT NULL DEFAULT '',
    ADD COLUMN over boolean NOT NULL DEFAULT false,
    DROP CONSTRAINT warm_up_pkey,
    ADD PRIMARY KEY (scope, subject, provider);
COMMENT ON COLUMN warm_up.provider IS 'whose mail it is about; empty: all mail';
COMMENT ON COLUMN warm_up.over IS 'of one toward a provider, while the one for all mail goes on: it binds no more';
ALTER TABLE warm_up_sent
    ADD COLUMN provider text NOT NULL DEFAULT '',
    DROP CONSTRAINT warm_up_sent_pkey,
    ADD PRIMARY KEY (scope, subject, provider, day);

ALTER TABLE ledger DROP CONSTRAINT ledger_scope_check, ADD CONSTRAINT ledger_scope_check
    CHECK (scope IN ('mailbox', 'egress', 'domain', 'client', 'domain-provider', 'mailbox-provider',
                     'egress-provider'));
ALTER TABLE message ADD COLUMN charged_curves boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN message.charged_curves IS
    'charged toward its provider for its mailbox and egress too, because that provider had warm-up curves';

CREATE OR REPLACE FUNCTION warm_up_day(mailbox_state text, address text, egress_state text, egress text)
RETURNS integer LANGUAGE sql STABLE AS $$
    SELECT least(
        CASE WHEN mailbox_state = 'warming' THEN coalesce(
            (SELECT w.day FROM warm_up AS w
             WHERE w.scope = 'mailbox' AND w.subject = address AND w.provider = ''), 1)
        END,
        CASE WHEN egress_state = 'warming' THEN coalesce(
            (SELECT w.day FROM warm_up AS w
             WHERE w.scope = 'egress' AND w.subject = egress AND w.provider = ''), 1)
        END)
$$;
