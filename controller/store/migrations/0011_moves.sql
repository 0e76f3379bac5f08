-- Egresses on their planned way from one node to another, one row each until the other runs it.
-- What is in this table counts against the limit of moves under way, whichever controller leads.
CREATE TABLE shard_move (
    egress_id text PRIMARY KEY REFERENCES egress ON DELETE CASCADE,
    from_node text NOT NULL,
    -- NULL: no node has room for it.
    to_node   text,
    reason    text NOT NULL,
    began_at  timestamptz NOT NULL DEFAULT now()
);

-- The order to even the load out; at most one, gone when it is carried out.
CREATE TABLE rebalance (
    only_one      boolean PRIMARY KEY DEFAULT true CHECK (only_one),
    actor         text NOT NULL,
    reason        text NOT NULL,
    -- NULL: the inventory's limit.
    max_in_flight integer CHECK (max_in_flight > 0),
    began_at      timestamptz NOT NULL DEFAULT now()
);

ALTER TABLE node
    -- Gives everything back, and gets nothing until it is uncordoned; then cordoned is true as well.
    ADD COLUMN draining boolean NOT NULL DEFAULT false,
    -- When the inventory brought it: a node that never connects is counted on for a while only.
    ADD COLUMN added_at timestamptz NOT NULL DEFAULT now();
