-- charge --
-- Adds to what subjects used on a day, where the cap still admits all of it; gives how many rows
-- that were. The arrays run in parallel and are sorted by scope and subject, so that two
-- transactions never wait for one another crosswise.
WITH asked AS (
    SELECT * FROM unnest(%(scopes)s::text[], %(subjects)s::text[], %(counts)s::integer[],
                         %(caps)s::integer[]) AS t (scope, subject, count, cap)
    WHERE count <= cap
), charged AS (
    INSERT INTO ledger AS l (scope, subject, day, used)
    SELECT scope, subject, %(day)s, count FROM asked
    ON CONFLICT (scope, subject, day) DO UPDATE SET used = l.used + excluded.used
    WHERE l.used + excluded.used <= (
        SELECT cap FROM asked WHERE asked.scope = l.scope AND asked.subject = l.subject)
    RETURNING 1
)
SELECT count(*) AS charged FROM charged

-- refund --
-- Gives the allowance back that these messages took, each once: a message that took none, or gave
-- it back before, is passed over. Gives how many messages gave something back.
WITH charged AS (
    SELECT id, mailbox, egress_id, charged_day
    FROM message
    WHERE id = ANY(%(ids)s) AND charged_day IS NOT NULL
    ORDER BY id
    FOR UPDATE
), cleared AS (
    UPDATE message AS m SET charged_day = NULL FROM charged AS c WHERE m.id = c.id
), returned AS (
    SELECT 'mailbox' AS scope, mailbox AS subject, charged_day AS day, count(*) AS count
    FROM charged GROUP BY mailbox, charged_day
    UNION ALL
    SELECT 'egress', egress_id, charged_day, count(*) FROM charged GROUP BY egress_id, charged_day
), held AS (
    SELECT l.scope, l.subject, l.day, r.count
    FROM ledger AS l JOIN returned AS r USING (scope, subject, day)
    ORDER BY l.scope, l.subject, l.day
    FOR UPDATE OF l
), given AS (
    UPDATE ledger AS l SET used = greatest(0, l.used - h.count)
    FROM held AS h
    WHERE l.scope = h.scope AND l.subject = h.subject AND l.day = h.day
)
SELECT count(*) AS refunded FROM charged
