-- The node's spool. Times are wall-clock milliseconds since 1970, UTC.
CREATE TABLE meta (
    -- spool_id, acked_seq, highest_epoch, spec, suspensions, released, queue_snapshot, log_position
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
    -- of an uncertain one: postsuper has put it on hold; of a queued one: it was asked to, for recall
    held          INTEGER NOT NULL DEFAULT 0,
    -- qmgr(8) took it up and its log does not tell yet how that ended
    in_flight     INTEGER NOT NULL DEFAULT 0,
    -- gateway stage and sequence number of the last DEFERRED event that no receiver caused
    local_stage   TEXT NOT NULL DEFAULT '',
    local_seq     INTEGER NOT NULL DEFAULT 0,
    changed_ms    INTEGER NOT NULL,
    -- no later than Postfix had it; 0: not known
    queued_ms     INTEGER NOT NULL DEFAULT 0,
    -- the last attempt that this node did not stop itself; 0: none
    attempted_ms  INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE INDEX message_by_state ON message (state, egress_id);
CREATE INDEX message_by_queue_id ON message (queue_id);
CREATE INDEX message_by_change ON message (changed_ms);

-- Until Postfix has it; then Postfix's queue file is the only copy.
CREATE TABLE content (
    message_id TEXT PRIMARY KEY REFERENCES message (id),
    content    BLOB NOT NULL
);

-- What the controller has not acknowledged: postfleet.v1.MessageEvent, without its number.
-- AUTOINCREMENT never gives a number twice, and takes it back with the transaction: no holes.
CREATE TABLE outbox (
    seq   INTEGER PRIMARY KEY AUTOINCREMENT,
    event BLOB NOT NULL
);
