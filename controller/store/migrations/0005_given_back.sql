-- A gateway keeps an egress closed for the rest of the term in which it gave it back. Several nodes
-- may have done so one after the other, so this is no property of the egress alone.
CREATE TABLE given_back (
    node_id   text NOT NULL REFERENCES node ON DELETE CASCADE,
    egress_id text NOT NULL REFERENCES egress ON DELETE CASCADE,
    epoch     bigint NOT NULL,
    PRIMARY KEY (node_id, egress_id)
);
ALTER TABLE egress DROP COLUMN released_by, DROP COLUMN released_epoch;
