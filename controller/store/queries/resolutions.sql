-- lock_message --
-- A message, locked; `holder` is the node whose present spool has spoken about it, else NULL.
SELECT m.state, m.queue_id,
       (SELECT n.id FROM node AS n
        WHERE n.id = m.node_id AND NOT n.decommissioned
          AND EXISTS (SELECT 1 FROM event AS e
                      WHERE e.message_id = m.id AND e.spool_id = n.spool_id)) AS holder
FROM message AS m WHERE m.id = %(id)s
FOR UPDATE OF m

-- end --
-- An operator's word ends it; its campaign hears of it.
UPDATE message
SET state = %(state)s, reason = %(reason)s, final_at = now(), awaited = awaited OR lane > 0
WHERE id = %(id)s

-- say_why_waiting --
-- It is to be sent again.
UPDATE message SET reason = %(reason)s WHERE id = %(id)s

-- resend --
-- These begin anew, with another day's and hour's allowance; what they took before may have been
-- used. That somebody wanted them cancelled before is over: the last word of operators holds. The
-- node stays named as the last one, so that late evidence of it is still believed. Its campaign is to
-- look again at how it ends.
UPDATE message
SET state = 'accepted', egress_id = NULL, epoch = NULL, queue_id = '', stored = false,
    charged_day = NULL, charged_hour = NULL, charged_provider = NULL, charged_curves = false,
    cancel_asked_by = NULL,
    awaited = awaited OR lane > 0,
    -- what `say_why_waiting` said, without what is waited for no more
    reason = split_part(reason, '; waits until node', 1)
WHERE id = ANY(%(ids)s) AND state = ANY(%(sources)s)

-- want_discard --
-- The node is to delete its queue file. The last word of operators holds.
INSERT INTO discard (message_id, node_id, queue_id, resend)
VALUES (%(id)s, %(node_id)s, %(queue_id)s, %(resend)s)
ON CONFLICT (message_id) DO UPDATE
SET node_id = excluded.node_id, queue_id = excluded.queue_id, resend = excluded.resend,
    asked_at = now()

-- wanted --
-- What these nodes are to delete.
SELECT node_id, message_id, queue_id FROM discard
WHERE node_id = ANY(%(node_ids)s)
ORDER BY asked_at
LIMIT 200

-- done --
-- The node has nothing of these any more.
DELETE FROM discard WHERE node_id = %(node_id)s AND message_id = ANY(%(ids)s)
RETURNING message_id, resend

-- disk_gone --
-- Its disk is another one: it has nothing of any.
DELETE FROM discard WHERE node_id = %(node_id)s RETURNING message_id, resend
