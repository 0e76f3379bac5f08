"""postfleet-apply: turns a typed spec into a running Postfix, or leaves everything as it was."""
