-- Whose egresses are placed first when the nodes have no room for all: a higher priority.
ALTER TABLE client ADD COLUMN priority integer NOT NULL DEFAULT 0
    CHECK (priority BETWEEN 0 AND 100);
