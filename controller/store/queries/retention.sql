-- contents --
-- Forgets the contents of messages that ended before `ended_before`. Looks, in the order of ids (of
-- time), from `after` on up to `id_before`; gives what it forgot. A recipient whose campaign may go
-- on in the same thread keeps the content of his last message: its header is quoted.
DELETE FROM message_content AS c
USING (
    SELECT m.id
    FROM message_content AS x JOIN message AS m ON m.id = x.message_id
    WHERE x.message_id > %(after)s AND x.message_id < %(id_before)s
      AND m.state = ANY(%(states)s) AND m.final_at < %(ended_before)s AND NOT m.awaited
      AND NOT EXISTS (
        SELECT 1 FROM campaign_lane AS l
        JOIN campaign_recipient AS r
          ON r.campaign_id = l.campaign_id AND r.recipient = lower(m.recipient)
        WHERE l.id = m.lane AND r.message_id = m.id AND r.state = 'open')
    ORDER BY x.message_id
    LIMIT %(limit)s
) AS old
WHERE c.message_id = old.id
RETURNING c.message_id AS id

-- messages --
-- Messages whose contents are forgotten and that ended before `ended_before`; locked. `after` and
-- `id_before` as above.
SELECT m.id
FROM message AS m
WHERE m.id > %(after)s AND m.id < %(id_before)s
  AND m.state = ANY(%(states)s) AND m.final_at < %(ended_before)s AND NOT m.awaited
  AND NOT EXISTS (SELECT 1 FROM message_content AS c WHERE c.message_id = m.id)
ORDER BY m.id
LIMIT %(limit)s
FOR UPDATE OF m SKIP LOCKED

-- forget_events --
-- What nodes reported about these.
DELETE FROM event WHERE message_id = ANY(%(ids)s)

-- forget_submissions --
-- Their keys are free again.
DELETE FROM submission WHERE message_id = ANY(%(ids)s)

-- forget_messages --
-- With what came back for them and their places in threads.
DELETE FROM message WHERE id = ANY(%(ids)s)
