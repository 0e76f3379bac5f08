-- How far in time the grants to a node have let it go: what was due later it never handed over.
ALTER TABLE lease ADD COLUMN due_until timestamptz NOT NULL DEFAULT '-infinity';
COMMENT ON COLUMN lease.due_until IS
    'no grant ever let the node hand over a message with a later not_before; only ever rises';
-- Terms that began before: nodes went by their own clocks, which chrony keeps.
UPDATE lease SET due_until = now() + make_interval(secs => ttl_ms / 1000.0) WHERE epoch > 1 OR held;
