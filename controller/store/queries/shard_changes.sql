-- snapshot --
-- What this statement sees; whatever the transaction reads later sees at least that.
SELECT pg_current_snapshot()::text

-- changed_since --
-- Whether a transaction that changed what decides about shards is visible now and was not in the
-- snapshot.
SELECT EXISTS (SELECT 1 FROM shard_change
               WHERE NOT pg_visible_in_snapshot(xid, %(snapshot)s::pg_snapshot))

-- prune --
-- Forgets changes that the snapshot sees, where there are many. Who remembers an older snapshot
-- finds this transaction instead, and reads everything.
WITH gone AS (
    DELETE FROM shard_change
    WHERE pg_visible_in_snapshot(xid, %(snapshot)s::pg_snapshot)
      AND (SELECT count(*) FROM shard_change) > %(most)s
    RETURNING xid
)
INSERT INTO shard_change
SELECT pg_current_xact_id() WHERE EXISTS (SELECT 1 FROM gone)
ON CONFLICT DO NOTHING
