-- What is due is looked for campaign by campaign, so that a paused one's recipients cost nothing.
DROP INDEX campaign_recipient_due;
CREATE INDEX campaign_recipient_due ON campaign_recipient (campaign_id, next_at)
    WHERE state = 'open' AND next_at IS NOT NULL;
