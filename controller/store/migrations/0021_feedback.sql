-- What came back for a message after it was sent. Of each kind at most once: told again, the first
-- one stays.
CREATE TABLE feedback (
    message_id text COLLATE "C" NOT NULL REFERENCES message (id) ON DELETE CASCADE,
    kind text NOT NULL CHECK (kind IN ('reply', 'bounce', 'unsubscribe', 'complaint')),
    client_id text NOT NULL REFERENCES client (id),
    at timestamptz NOT NULL,
    evidence text NOT NULL DEFAULT '',
    told_by text NOT NULL,
    told_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (message_id, kind)
);
-- By recipient and mailbox the last message that went from one to the other is found.
CREATE INDEX message_by_recipient ON message (lower(recipient));
