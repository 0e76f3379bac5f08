-- A circuit breaker for each pair that was refused lately. Closed pairs without refusals have no row.
CREATE TABLE breaker (
    scope text NOT NULL CHECK (scope IN ('provider-egress', 'provider-domain')),
    provider text NOT NULL,
    subject text NOT NULL,
    position text NOT NULL CHECK (position IN ('closed', 'open')),
    -- First attempts refused one after the other, while closed.
    refusals integer NOT NULL DEFAULT 0,
    -- How many times it opened without closing for good in between.
    opened integer NOT NULL DEFAULT 0,
    changed_at timestamptz NOT NULL,
    -- Of an open one: half open from then on.
    until timestamptz,
    -- The message by which a half-open one is tried.
    trial text COLLATE "C",
    trial_at timestamptz,
    PRIMARY KEY (scope, provider, subject)
);
