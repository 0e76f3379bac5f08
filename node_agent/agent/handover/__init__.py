"""Messages on their way from the spool into Postfix's queue, recoverable at every step."""
