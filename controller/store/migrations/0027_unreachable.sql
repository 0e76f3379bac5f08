-- Which node's network does not lead to the proxy of which egress, as the node itself found: it had
-- the egress and could not connect to the proxy, twice in a row. Placement keeps the two apart until
-- `until`. A row that is over is kept for a while: `strikes` make the next one of the egress longer.
CREATE TABLE unreachable (
    egress_id text NOT NULL REFERENCES egress ON DELETE CASCADE,
    node_id   text NOT NULL REFERENCES node ON DELETE CASCADE,
    -- of the probe, in its words
    stage     text NOT NULL,
    detail    text NOT NULL,
    since     timestamptz NOT NULL,
    until     timestamptz NOT NULL CHECK (until >= since),
    strikes   integer NOT NULL CHECK (strikes > 0),
    PRIMARY KEY (egress_id, node_id)
);
CREATE INDEX unreachable_until ON unreachable (until);

CREATE TRIGGER shard_change AFTER INSERT OR UPDATE OR DELETE ON unreachable
    FOR EACH ROW EXECUTE FUNCTION note_shard_change();
