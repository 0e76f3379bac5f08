-- What of a message never changes and is looked up by random values stands apart. A message changes
-- at every step of its way, and each change writes into every index of the table: with keys and
-- recipients among them, after a checkpoint two more whole pages for each message (decision 0027).

CREATE TABLE submission (
    message_id      text COLLATE "C" PRIMARY KEY,
    client_id       text NOT NULL,
    idempotency_key text NOT NULL,
    -- SHA-256 over what was submitted under the key
    fingerprint     bytea NOT NULL,
    recipient       text NOT NULL,
    UNIQUE (client_id, idempotency_key)
);
INSERT INTO submission
    SELECT id, client_id, idempotency_key, fingerprint, recipient FROM message;
CREATE INDEX submission_by_recipient ON submission (lower(recipient));

DROP INDEX message_by_recipient;
ALTER TABLE message DROP COLUMN idempotency_key, DROP COLUMN fingerprint;
