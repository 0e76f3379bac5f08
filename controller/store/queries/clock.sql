-- read --
-- Notes the clock and gives it with the greatest reading there ever was.
INSERT INTO clock (highest) VALUES (now())
ON CONFLICT (only_one) DO UPDATE SET highest = greatest(clock.highest, excluded.highest)
RETURNING highest, now() AS now

-- slots --
-- Slots that were drawn in the future are drawn anew, from now at the earliest.
UPDATE mailbox
SET due_at = '-infinity', slot_at = least(slot_at, now()), held = '', held_since = NULL,
    held_until = NULL, drawn_at = now()
WHERE drawn_at > now() + make_interval(secs => %(slack_s)s)

-- planned --
-- Messages that no planner could have planned yet, whose sender wants them now; locked.
SELECT id FROM message
WHERE state = 'scheduled' AND attempts = 0
  AND not_before > now() + make_interval(secs => %(ahead_s)s)
ORDER BY id
LIMIT %(limit)s
FOR UPDATE SKIP LOCKED

-- accepted --
-- Messages that came in the future, and those whose time is a slot's that is not theirs any more.
UPDATE message
SET accepted_at = least(accepted_at, now()),
    not_before = CASE WHEN attempts = 0 THEN coalesce(wanted_at, least(accepted_at, now()))
                      ELSE not_before END
WHERE state = 'accepted' AND accepted_at > now() + make_interval(secs => %(slack_s)s)

-- on_nodes --
-- What these nodes are to give back because they would hold it for too long: it was sent to them
-- when the clock was ahead. Of each at most so many.
SELECT n.node_id, m.id
FROM clock AS c
CROSS JOIN unnest(%(node_ids)s::text[]) AS n (node_id)
CROSS JOIN LATERAL (
    SELECT x.id FROM message AS x
    WHERE x.node_id = n.node_id AND x.state = 'dispatched'
      AND x.not_before > now() + make_interval(secs => %(ahead_s)s)
    ORDER BY x.id LIMIT %(limit)s
) AS m
WHERE c.highest > now() + make_interval(secs => %(slack_s)s)

-- suspensions --
-- A stop that began in the future lasts as long as it was to, from now. What an operator named stays.
UPDATE suspension
SET until = CASE source WHEN 'operator' THEN until ELSE now() + (until - noted_at) END,
    since = least(since, now()), noted_at = now()
WHERE noted_at > now() + make_interval(secs => %(slack_s)s)

-- slow_downs --
-- A slowed pair has the quiet hours behind it, or the wait before it, that it had.
UPDATE slow_down
SET since = now() + (since - noted_at), lowered_at = now() + (lowered_at - noted_at),
    noted_at = now()
WHERE noted_at > now() + make_interval(secs => %(slack_s)s)

-- breakers --
-- A breaker stays open as long as it was to, from now.
UPDATE breaker
SET until = CASE WHEN changed_at > now() THEN now() + (until - changed_at) ELSE until END,
    changed_at = least(changed_at, now()), trial_at = least(trial_at, now())
WHERE changed_at > now() + make_interval(secs => %(slack_s)s)
   OR trial_at > now() + make_interval(secs => %(slack_s)s)

-- mail_domains --
-- A domain is asked about as long after the last time as was meant.
UPDATE mail_domain SET due_at = now() + (due_at - asked_at), asked_at = now()
WHERE asked_at > now() + make_interval(secs => %(slack_s)s)

-- nodes --
-- A node is new from now on, and was seen just now.
UPDATE node SET added_at = least(added_at, now()), last_seen = least(last_seen, now())
WHERE added_at > now() + make_interval(secs => %(slack_s)s)
   OR last_seen > now() + make_interval(secs => %(slack_s)s)
