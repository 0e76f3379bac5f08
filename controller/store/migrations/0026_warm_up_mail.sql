-- Mail that the controller writes between the fleet's own mailboxes while some of them warm up.

COMMENT ON COLUMN message.lane IS
    'of a campaign; 0: of none; -1: warm-up mail, which counts toward every limit and in no figure of a client';

CREATE TABLE warm_up_mail (
    message_id text COLLATE "C" PRIMARY KEY REFERENCES message (id) ON DELETE CASCADE,
    thread text NOT NULL,
    -- In the thread, from 0.
    position integer NOT NULL CHECK (position >= 0),
    -- Nothing follows on it any more: it was answered, or is the last, or did not arrive.
    done boolean NOT NULL,
    UNIQUE (thread, position)
);
CREATE INDEX warm_up_mail_open ON warm_up_mail (message_id) WHERE NOT done;
CREATE INDEX message_warm_up ON message (mailbox, charged_day) WHERE lane = -1;

-- The day of the warm-up of a mailbox or of its egress, of whichever is less far; NULL: neither warms
-- up. What has not begun, will on its first day.
CREATE FUNCTION warm_up_day(mailbox_state text, address text, egress_state text, egress text)
RETURNS integer LANGUAGE sql STABLE AS $$
    SELECT least(
        CASE WHEN mailbox_state = 'warming' THEN coalesce(
            (SELECT w.day FROM warm_up AS w WHERE w.scope = 'mailbox' AND w.subject = address), 1)
        END,
        CASE WHEN egress_state = 'warming' THEN coalesce(
            (SELECT w.day FROM warm_up AS w WHERE w.scope = 'egress' AND w.subject = egress), 1)
        END)
$$;
