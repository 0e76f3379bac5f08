-- PostgreSQL does not see that `mailbox IS NULL` fixes a column of an index, and sorts all that
-- waits. Messages for which the planner chooses get an index of their own.

DROP INDEX message_waiting;
CREATE INDEX message_waiting ON message (client_id, mailbox, not_before, id)
    WHERE state = 'accepted' AND mailbox IS NOT NULL;
CREATE INDEX message_waiting_for_choice ON message (client_id, not_before, id)
    WHERE state = 'accepted' AND mailbox IS NULL;
