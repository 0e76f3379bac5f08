-- What a clock that is set back leaves in the future is counted anew (docs/decisions/0021). For that
-- each instant that is waited for stands beside the reading of the clock at which it was written.

-- The greatest reading of the database's clock that was ever seen; it only rises.
CREATE TABLE clock (
    only_one boolean PRIMARY KEY DEFAULT true CHECK (only_one),
    highest  timestamptz NOT NULL
);
INSERT INTO clock (highest) VALUES (now());

ALTER TABLE mailbox ADD COLUMN drawn_at timestamptz NOT NULL DEFAULT '-infinity';
COMMENT ON COLUMN mailbox.drawn_at IS 'the clock when its slot was written';
ALTER TABLE suspension ADD COLUMN noted_at timestamptz NOT NULL DEFAULT now();
COMMENT ON COLUMN suspension.noted_at IS 'the clock when `until` was written';
ALTER TABLE slow_down ADD COLUMN noted_at timestamptz NOT NULL DEFAULT now();
COMMENT ON COLUMN slow_down.noted_at IS 'the clock when `since` was written';
ALTER TABLE message ADD COLUMN wanted_at timestamptz;
COMMENT ON COLUMN message.wanted_at IS
    'before which its sender does not want it sent; NULL: at once. not_before is never earlier';
UPDATE message SET wanted_at = not_before WHERE state = 'accepted' AND not_before > now();
