-- A message gets its provider also when it is found while the message is on a node.

DROP INDEX message_of_unknown_provider;
CREATE INDEX message_of_unknown_provider
    ON message (lower(regexp_replace(recipient, '^.*@', '')))
    WHERE provider = 'unknown' AND state IN ('accepted', 'scheduled', 'dispatched', 'queued');
DROP INDEX message_without_provider;
CREATE INDEX message_without_provider ON message (id)
    WHERE provider IS NULL AND state IN ('accepted', 'scheduled', 'dispatched', 'queued');

-- What was missed before: the receiver was known, but the message stayed unknown.
UPDATE message AS m
SET receiver = d.receiver,
    provider = CASE WHEN position('.' IN d.receiver) > 0 THEN 'other' ELSE d.receiver END
FROM mail_domain AS d
WHERE m.provider = 'unknown' AND m.state IN ('accepted', 'scheduled', 'dispatched', 'queued')
  AND lower(regexp_replace(m.recipient, '^.*@', '')) = d.domain AND d.receiver <> 'unknown';
