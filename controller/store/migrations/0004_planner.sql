-- What the planner looks up, so that its work grows with what it assigns, not with what waits.

-- Serves both the messages of one mailbox and those for which the planner chooses (mailbox NULL).
DROP INDEX message_waiting;
CREATE INDEX message_waiting ON message (client_id, mailbox, not_before, id)
    WHERE state = 'accepted';
-- Waiting messages that do not say yet why they wait.
CREATE INDEX message_unexplained ON message (client_id, not_before, id)
    WHERE state = 'accepted' AND reason = '';
-- Planned for a day that may be over.
CREATE INDEX message_planned_for ON message (charged_day, id) WHERE state = 'scheduled';

-- Content is mostly encoded and compresses badly; trying costs more than half of an insert.
ALTER TABLE message_content ALTER COLUMN content SET STORAGE EXTERNAL;
