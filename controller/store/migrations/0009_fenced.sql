-- An operator attested that the machine is off or cut; it gets no egress until it has booted again,
-- got a new certificate, or an operator opens it.
ALTER TABLE node ADD COLUMN fenced boolean NOT NULL DEFAULT false;
