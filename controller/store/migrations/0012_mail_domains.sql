-- What the DNS said of recipients' domains, as long as its TTL says; survives restarts.

CREATE TABLE mail_domain (
    domain text PRIMARY KEY,
    provider text NOT NULL DEFAULT 'unknown',
    -- By preference; of the answer that `provider` was read from.
    hosts text[] NOT NULL DEFAULT '{}',
    outcome text NOT NULL DEFAULT 'pending'
        CHECK (outcome IN ('pending', 'found', 'none', 'failed')),
    failures integer NOT NULL DEFAULT 0,
    asked_at timestamptz,
    -- Not asked (again) before.
    due_at timestamptz NOT NULL DEFAULT now(),
    -- A message needs it.
    wanted boolean NOT NULL DEFAULT true
);
COMMENT ON COLUMN mail_domain.outcome IS
    'of the last question; none: the DNS says that it takes no mail; a provider once found is kept '
    'while questions fail';
CREATE INDEX mail_domain_due ON mail_domain (failures, due_at) WHERE wanted;

-- By domain, so that an answer finds the messages it is about.
DROP INDEX message_of_unknown_provider;
CREATE INDEX message_of_unknown_provider
    ON message (lower(regexp_replace(recipient, '^.*@', '')))
    WHERE provider = 'unknown' AND state IN ('accepted', 'scheduled');
