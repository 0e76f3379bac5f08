-- What receivers' words lead to: providers of messages, meanings of events, slow-downs and
-- suspensions of pairs.

ALTER TABLE message ADD COLUMN provider text;
COMMENT ON COLUMN message.provider IS
    'who runs the recipient''s mailbox; unknown: not found (yet); NULL: not looked for yet';
CREATE INDEX message_without_provider ON message (id)
    WHERE provider IS NULL AND state IN ('accepted', 'scheduled');
CREATE INDEX message_of_unknown_provider ON message (id)
    WHERE provider = 'unknown' AND state IN ('accepted', 'scheduled');

ALTER TABLE event
    ADD COLUMN provider text NOT NULL DEFAULT '',
    ADD COLUMN scope text NOT NULL DEFAULT '',
    ADD COLUMN permanent boolean NOT NULL DEFAULT false,
    ADD COLUMN rule text NOT NULL DEFAULT '';
COMMENT ON COLUMN event.scope IS
    'what a receiver''s refusal is about (recipient, content, reputation, policy, capacity, '
    'network, unknown); empty: no receiver spoke';

ALTER TABLE suspension DROP CONSTRAINT suspension_scope_check;
ALTER TABLE suspension ADD CONSTRAINT suspension_scope_check CHECK (scope IN (
    'mailbox', 'egress', 'domain', 'client', 'provider-egress', 'provider-domain'));
COMMENT ON COLUMN suspension.subject IS 'of a pair: provider, slash, egress id or domain';

-- A pair that a receiver wants slower: so many messages an hour at `since`, twice as many after each
-- quiet hour. `since` is the last refusal, or the end of a suspension that lies ahead.
CREATE TABLE slow_down (
    scope text NOT NULL CHECK (scope IN ('provider-egress', 'provider-domain')),
    provider text NOT NULL,
    subject text NOT NULL,
    per_hour double precision NOT NULL CHECK (per_hour > 0),
    since timestamptz NOT NULL,
    lowered_at timestamptz NOT NULL,
    rule text NOT NULL,
    reason text NOT NULL,
    evidence jsonb NOT NULL DEFAULT '{}',
    PRIMARY KEY (scope, provider, subject)
);

-- How much a pair may send an hour now; a pair that is not in it is not limited. 0: suspended. The
-- arithmetic is that of controller.throttle.pace, which a test holds it to.
CREATE VIEW rate_limit AS
SELECT scope, provider, subject, min(per_hour) AS per_hour
FROM (
    SELECT scope, provider, subject,
           per_hour * power(2, least(30, greatest(0,
               floor(extract(epoch FROM now() - since)::double precision / 3600)))) AS per_hour
    FROM slow_down
    UNION ALL
    SELECT scope, split_part(subject, '/', 1), split_part(subject, '/', 2), 0
    FROM suspension
    WHERE scope IN ('provider-egress', 'provider-domain') AND (until IS NULL OR until > now())
) AS limits
GROUP BY scope, provider, subject;
