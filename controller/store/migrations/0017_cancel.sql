-- Who asked for a message to be cancelled that a node had then; NULL: nobody.
ALTER TABLE message ADD COLUMN cancel_asked_by text;

CREATE INDEX message_to_cancel ON message (node_id, id)
WHERE cancel_asked_by IS NOT NULL AND state IN ('accepted', 'scheduled', 'dispatched', 'queued');
