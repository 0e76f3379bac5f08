-- A domain's mailboxes are counted, and looked for when it leaves the inventory.
CREATE INDEX mailbox_by_domain ON mailbox (domain);
