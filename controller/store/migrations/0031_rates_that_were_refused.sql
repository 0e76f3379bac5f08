-- A slowed pair rests below the rate that was refused before it tries it again (throttle/pace.py).

CREATE FUNCTION steps_below(per_hour double precision, ceiling double precision)
RETURNS integer LANGUAGE sql IMMUTABLE AS $$
    SELECT count(*)::integer FROM generate_series(1, 30) AS k
    WHERE per_hour * power(2::double precision, k) < ceiling
$$;
COMMENT ON FUNCTION steps_below IS 'how often a rate may double and stay below another';

CREATE FUNCTION quiet_hours(since timestamptz)
RETURNS integer LANGUAGE sql STABLE AS $$
    SELECT greatest(0, floor(extract(epoch FROM now() - since) / 3600))::integer
$$;
COMMENT ON FUNCTION quiet_hours IS 'full hours since an instant';

CREATE FUNCTION steps_up(quiet integer, rests_after integer)
RETURNS integer LANGUAGE sql IMMUTABLE AS $$
    SELECT least(30, CASE WHEN quiet > rests_after THEN greatest(rests_after, quiet - 6)
                          ELSE quiet END)
$$;
COMMENT ON FUNCTION steps_up IS 'how often a rate has doubled after so many quiet hours, six of them at rest';

CREATE FUNCTION hours_until_faster(quiet integer, rests_after integer)
RETURNS integer LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN quiet < rests_after THEN quiet + 1
                ELSE greatest(quiet, rests_after + 6) + 1 END
$$;
COMMENT ON FUNCTION hours_until_faster IS 'the quiet hour in which a rate doubles next';

ALTER TABLE slow_down
    ADD COLUMN ceiling double precision NOT NULL DEFAULT 'Infinity',
    ADD COLUMN rests_after integer NOT NULL GENERATED ALWAYS AS (steps_below(per_hour, ceiling)) STORED;
COMMENT ON COLUMN slow_down.ceiling IS 'messages an hour that were refused last; infinite: none is known';
COMMENT ON COLUMN slow_down.rests_after IS 'doublings after which it rests below the ceiling';

CREATE OR REPLACE VIEW rate_limit AS
SELECT scope, provider, subject, min(per_hour) AS per_hour
FROM (
    SELECT scope, provider, subject,
           per_hour * power(2::double precision, steps_up(quiet_hours(since), rests_after)) AS per_hour
    FROM slow_down
    UNION ALL
    SELECT scope, split_part(subject, '/', 1), split_part(subject, '/', 2), 0
    FROM suspension
    WHERE scope IN ('provider-egress', 'provider-domain') AND (until IS NULL OR until > now())
) AS limits
GROUP BY scope, provider, subject;
