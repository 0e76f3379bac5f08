-- name --
-- Gives messages that were not looked at yet the receiver of their domain, `unknown` where it is
-- not known, and its provider: `other` for a receiver that is in no table. Notes which domains are to
-- be asked for. Tells how many got which.
WITH fresh AS (
    SELECT id, lower(regexp_replace(recipient, '^.*@', '')) AS domain
    FROM message
    WHERE provider IS NULL AND state IN ('accepted', 'scheduled', 'dispatched', 'queued')
    ORDER BY id
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
), asked AS (
    INSERT INTO mail_domain (domain)
    SELECT DISTINCT f.domain FROM fresh AS f LEFT JOIN mail_domain AS d ON d.domain = f.domain
    WHERE d.domain IS NULL OR (NOT d.wanted AND d.due_at <= now())
    ORDER BY f.domain
    ON CONFLICT (domain) DO UPDATE SET wanted = true
), named AS (
    UPDATE message AS m
    SET receiver = coalesce(d.receiver, 'unknown'),
        provider = CASE WHEN position('.' IN d.receiver) > 0 THEN 'other'
                        ELSE coalesce(d.receiver, 'unknown') END
    FROM fresh AS f LEFT JOIN mail_domain AS d ON d.domain = f.domain
    WHERE m.id = f.id
    RETURNING m.provider
)
SELECT provider, count(*)::integer AS messages FROM named GROUP BY provider

-- due --
-- Domains to ask for, those that never failed first: who does not answer waits behind who may.
SELECT domain, failures FROM mail_domain
WHERE wanted AND due_at <= now() AND domain <> ALL(%(except_domains)s)
ORDER BY failures, due_at, domain
LIMIT %(limit)s

-- answered --
-- Keeps what the DNS said. A receiver that was found before stays while questions fail.
UPDATE mail_domain AS d
SET outcome = t.outcome, failures = t.failures, asked_at = now(),
    receiver = CASE WHEN t.outcome = 'failed' THEN d.receiver ELSE t.receiver END,
    hosts = CASE WHEN t.outcome = 'failed' THEN d.hosts ELSE string_to_array(t.hosts, ' ') END,
    due_at = now() + make_interval(secs => t.due_s), wanted = t.wanted
FROM unnest(%(domains)s::text[], %(outcomes)s::text[], %(failures)s::integer[],
            %(receivers)s::text[], %(hosts)s::text[], %(dues_s)s::integer[], %(wanted)s::boolean[])
     AS t (domain, outcome, failures, receiver, hosts, due_s, wanted)
WHERE d.domain = t.domain

-- rename --
-- Messages that go on as `unknown` get the receiver that was found meanwhile, also on a node; how many.
WITH late AS (
    SELECT m.id, t.receiver
    FROM unnest(%(domains)s::text[], %(receivers)s::text[]) AS t (domain, receiver)
    JOIN message AS m ON lower(regexp_replace(m.recipient, '^.*@', '')) = t.domain
    WHERE m.provider = 'unknown' AND m.state IN ('accepted', 'scheduled', 'dispatched', 'queued')
    ORDER BY m.id
    FOR UPDATE OF m
), renamed AS (
    UPDATE message AS m
    SET receiver = l.receiver,
        provider = CASE WHEN position('.' IN l.receiver) > 0 THEN 'other' ELSE l.receiver END
    FROM late AS l
    WHERE m.id = l.id
    RETURNING 1
)
SELECT count(*)::integer AS messages FROM renamed
