-- A campaign's messages have Message-IDs of the same kind as all others.
ALTER TABLE campaign DROP COLUMN message_domain;
