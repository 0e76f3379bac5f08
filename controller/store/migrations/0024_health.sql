-- What is counted of mailboxes, egresses and domains, by the hour in which it was learned; whole days
-- that are over for two days are kept by the day.
CREATE TABLE health_hour (
    scope text NOT NULL CHECK (scope IN ('mailbox', 'egress', 'domain')),
    subject text NOT NULL,
    provider text NOT NULL,
    kind text NOT NULL,
    hour timestamptz NOT NULL,
    count integer NOT NULL CHECK (count > 0),
    changed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (scope, subject, hour, provider, kind)
);
CREATE INDEX health_hour_by_hour ON health_hour (hour);
CREATE TABLE health_day (
    scope text NOT NULL,
    subject text NOT NULL,
    provider text NOT NULL,
    kind text NOT NULL,
    -- Of UTC.
    day date NOT NULL,
    count integer NOT NULL,
    PRIMARY KEY (scope, subject, day, provider, kind)
);
CREATE INDEX health_day_by_day ON health_day (day);
-- The verdict on each that ever was judged; what is missing is good.
CREATE TABLE health (
    scope text NOT NULL CHECK (scope IN ('mailbox', 'egress', 'domain')),
    subject text NOT NULL,
    band text NOT NULL DEFAULT 'good'
        CHECK (band IN ('good', 'watch', 'slowed', 'paused', 'quarantined')),
    since timestamptz NOT NULL,
    until timestamptz,
    stops integer NOT NULL DEFAULT 0,
    stopped_at timestamptz,
    counted_from timestamptz,
    score double precision NOT NULL DEFAULT 100,
    reason text NOT NULL DEFAULT '',
    judged_at timestamptz NOT NULL,
    PRIMARY KEY (scope, subject)
);
CREATE INDEX health_not_good ON health (judged_at) WHERE band <> 'good';
COMMENT ON COLUMN health.until IS 'when a pause or quarantine is over at the earliest';
COMMENT ON COLUMN health.counted_from IS 'what was learned before does not count any more';
