-- lock --
-- Messages as they stand, held until the end of the transaction; `term_held`: the node that has it
-- is in a term and may answer.
SELECT m.id, m.state, m.attempts, m.reason, coalesce(m.node_id, '') AS node_id,
       coalesce(m.cancel_asked_by, '') AS cancel_asked_by,
       EXISTS (SELECT 1 FROM lease AS l WHERE l.node_id = m.node_id AND l.held) AS term_held
FROM message AS m WHERE m.id = ANY(%(ids)s)
ORDER BY m.id FOR UPDATE OF m

-- lock_campaigns --
-- What is to end of campaigns that were cancelled, of each lane at most so many, as `lock` gives it;
-- locked.
SELECT m.id, m.state, m.attempts, m.reason, coalesce(m.node_id, '') AS node_id,
       coalesce(m.cancel_asked_by, '') AS cancel_asked_by, c.changed_by AS actor,
       c.reason AS why,
       EXISTS (SELECT 1 FROM lease AS l WHERE l.node_id = m.node_id AND l.held) AS term_held
FROM campaign AS c
JOIN campaign_lane AS l ON l.campaign_id = c.id
CROSS JOIN LATERAL (
    SELECT x.* FROM message AS x
    WHERE x.lane = l.id AND x.state IN ('accepted', 'scheduled', 'dispatched', 'queued')
      AND x.lane > 0 AND x.cancel_asked_by IS NULL
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
) AS m
WHERE c.state = 'cancelled' AND c.ending

-- end --
-- Ends messages that no node has, so. The arrays run in parallel.
UPDATE message AS m
SET state = %(state)s, final_at = now(), reason = t.reason
FROM unnest(%(ids)s::text[], %(reasons)s::text[]) AS t (id, reason)
WHERE m.id = t.id AND m.state = ANY(%(states)s)

-- ask --
-- Notes who wants messages cancelled that a node has; the first one stands.
UPDATE message SET cancel_asked_by = %(actor)s
WHERE id = ANY(%(ids)s) AND cancel_asked_by IS NULL

-- on_nodes --
-- What these nodes are to give back because it is cancelled, for each at most so many.
SELECT n.node_id, m.id
FROM unnest(%(node_ids)s::text[]) AS n (node_id)
CROSS JOIN LATERAL (
    SELECT x.id FROM message AS x
    WHERE x.node_id = n.node_id AND x.cancel_asked_by IS NOT NULL
      AND x.state IN ('dispatched', 'queued')
    ORDER BY x.id LIMIT %(limit)s
) AS m

-- came_back --
-- Messages that nodes gave back, or did not take, and that are to be cancelled; locked. Where a shaping
-- rule asked (`by_rule`), with the receiver's words.
SELECT m.id, m.attempts, m.cancel_asked_by, coalesce(e.reason, '') AS words
FROM message AS m
LEFT JOIN LATERAL (
    SELECT x.reason FROM event AS x
    WHERE x.message_id = m.id AND x.kind = 'deferred' AND x.rule <> ''
    ORDER BY x.at DESC, x.seq DESC
    LIMIT 1
) AS e ON m.cancel_asked_by = %(by_rule)s
WHERE m.cancel_asked_by IS NOT NULL AND m.state IN ('accepted', 'scheduled')
ORDER BY m.id
LIMIT %(limit)s
FOR UPDATE OF m SKIP LOCKED
