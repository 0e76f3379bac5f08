-- Providers are few: those of the table, other and unknown. Whose words count for whom is the
-- receiver's: the provider, or the domain of MX hosts that are in no table.
ALTER TABLE message ADD COLUMN receiver text;
COMMENT ON COLUMN message.receiver IS
    'the provider, or where it is `other` the domain of its MX hosts; NULL: not looked for yet';
UPDATE message SET receiver = provider WHERE provider IS NOT NULL;
UPDATE message SET provider = 'other' WHERE position('.' IN provider) > 0;
ALTER TABLE mail_domain RENAME COLUMN provider TO receiver;
