-- The planner knows providers, which are few. What receivers in no table want slower, dispatch keeps.
ALTER TABLE slow_down ADD COLUMN sent_at timestamptz;
COMMENT ON COLUMN slow_down.sent_at IS
    'of a receiver in no table (with a dot in its name): when dispatch let the last message of the '
    'pair go';
