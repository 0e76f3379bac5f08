-- Which transactions changed something that decides about shards: one row each, written by triggers.
-- Whoever remembers a snapshot (pg_current_snapshot) sees by it whether there was a change since:
-- a row whose transaction is not visible in that snapshot. See docs/decisions.
CREATE TABLE shard_change (
    xid xid8 PRIMARY KEY
);

CREATE FUNCTION note_shard_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO shard_change VALUES (pg_current_xact_id()) ON CONFLICT DO NOTHING;
    RETURN NULL;
END
$$;

CREATE TRIGGER shard_change_set AFTER INSERT OR DELETE ON node
    FOR EACH ROW EXECUTE FUNCTION note_shard_change();
CREATE TRIGGER shard_change AFTER UPDATE ON node
    FOR EACH ROW WHEN (
        (OLD.capacity, OLD.failure_domain, OLD.region, OLD.cordoned, OLD.draining,
         OLD.decommissioned, OLD.fenced, OLD.added_at)
        IS DISTINCT FROM
        (NEW.capacity, NEW.failure_domain, NEW.region, NEW.cordoned, NEW.draining,
         NEW.decommissioned, NEW.fenced, NEW.added_at))
    EXECUTE FUNCTION note_shard_change();

-- Of renewals and epoch only whether there were any matters: a heartbeat changes nothing here.
CREATE TRIGGER shard_change_set AFTER INSERT OR DELETE ON lease
    FOR EACH ROW EXECUTE FUNCTION note_shard_change();
CREATE TRIGGER shard_change AFTER UPDATE ON lease
    FOR EACH ROW WHEN (
        (OLD.held, OLD.epoch = 1, OLD.renewals = 0)
        IS DISTINCT FROM (NEW.held, NEW.epoch = 1, NEW.renewals = 0))
    EXECUTE FUNCTION note_shard_change();

CREATE TRIGGER shard_change_set AFTER INSERT OR DELETE ON egress
    FOR EACH ROW EXECUTE FUNCTION note_shard_change();
CREATE TRIGGER shard_change AFTER UPDATE ON egress
    FOR EACH ROW WHEN (
        (OLD.client_id, OLD.only_node, OLD.region, OLD.state)
        IS DISTINCT FROM (NEW.client_id, NEW.only_node, NEW.region, NEW.state))
    EXECUTE FUNCTION note_shard_change();

CREATE TRIGGER shard_change_set AFTER INSERT OR DELETE ON mailbox
    FOR EACH ROW EXECUTE FUNCTION note_shard_change();
CREATE TRIGGER shard_change AFTER UPDATE ON mailbox
    FOR EACH ROW WHEN (OLD.egress_id IS DISTINCT FROM NEW.egress_id)
    EXECUTE FUNCTION note_shard_change();

CREATE TRIGGER shard_change AFTER UPDATE ON client
    FOR EACH ROW WHEN (OLD.priority IS DISTINCT FROM NEW.priority)
    EXECUTE FUNCTION note_shard_change();

CREATE TRIGGER shard_change_set AFTER INSERT OR DELETE ON assignment
    FOR EACH ROW EXECUTE FUNCTION note_shard_change();
CREATE TRIGGER shard_change AFTER UPDATE ON assignment
    FOR EACH ROW WHEN (OLD.* IS DISTINCT FROM NEW.*)
    EXECUTE FUNCTION note_shard_change();
CREATE TRIGGER shard_change AFTER INSERT OR UPDATE OR DELETE ON shard_move
    FOR EACH ROW EXECUTE FUNCTION note_shard_change();
CREATE TRIGGER shard_change AFTER INSERT OR UPDATE OR DELETE ON rebalance
    FOR EACH ROW EXECUTE FUNCTION note_shard_change();
CREATE TRIGGER shard_change AFTER INSERT OR UPDATE OR DELETE ON setting
    FOR EACH ROW EXECUTE FUNCTION note_shard_change();
CREATE TRIGGER shard_change AFTER INSERT OR UPDATE OR DELETE ON running_mailbox
    FOR EACH STATEMENT EXECUTE FUNCTION note_shard_change();
