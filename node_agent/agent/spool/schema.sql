-- The node's spool. Times are wall-clock milliseconds since 1970, UTC.
CREATE TABLE meta (
    -- spool_id, next_seq, acked_seq, highest_epoch, spec, released, queue_snapshot, log_position
    name  TEXT PRIMARY KEY,
    value BLOB NOT NULL
) WITHOUT ROWID;

CREATE TABLE message (
    id            TEXT PRIMARY KEY,
    mailbox       TEXT NOT NULL,
    recipient     TEXT NOT NULL,
    egress_id     TEXT NOT NULL,
    epoch         INTEGER NOT NULL,
    not_before_ms INTEGER NOT NULL,
    size          INTEGER NOT NULL,
    -- see lifecycle.py
    state         TEXT NOT NULL,
    -- of the hand-over; '' until known
    queue_id      TEXT NOT NULL DEFAULT '',
    -- of an uncertain one: postsuper has put it on hold
    held          INTEGER NOT NULL DEFAULT 0,
    -- qmgr(8) took it up and its log does not tell yet how that ended
    in_flight     INTEGER NOT NULL DEFAULT 0,
    -- gateway stage and sequence number of the last DEFERRED event that no receiver caused
    local_stage   TEXT NOT NULL DEFAULT '',
    local_seq     INTEGER NOT NULL DEFAULT 0,
    changed_ms    INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX message_open ON message (state, egress_id) WHERE state IN ('stored', 'handing', 'queued', 'uncertain');
CREATE INDEX message_by_queue_id ON message (queue_id) WHERE queue_id <> '';
CREATE INDEX message_final ON message (changed_ms)
    WHERE state IN ('sent', 'bounced', 'expired', 'refused', 'returned');

-- Until Postfix has it; then Postfix's queue file is the only copy.
CREATE TABLE content (
    message_id TEXT PRIMARY KEY REFERENCES message (id),
    content    BLOB NOT NULL
);

-- What the controller has not acknowledged: postfleet.v1.MessageEvent without holes in seq.
CREATE TABLE outbox (
    seq   INTEGER PRIMARY KEY,
    event BLOB NOT NULL
);
