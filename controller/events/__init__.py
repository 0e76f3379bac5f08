"""What nodes report of messages: `fold` says what it makes of them (pure), `reports` stores it."""
