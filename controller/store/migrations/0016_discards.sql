-- Uncertain messages about which an operator has decided, while a node still holds their queue file.
-- A row goes when the node says that it has nothing of the message any more.
CREATE TABLE discard (
    message_id text COLLATE "C" PRIMARY KEY REFERENCES message ON DELETE CASCADE,
    node_id    text NOT NULL REFERENCES node ON DELETE CASCADE,
    queue_id   text NOT NULL,
    -- send it once more when the node has answered
    resend     boolean NOT NULL,
    asked_at   timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX discard_by_node ON discard (node_id);
