"""postfleet-gateway: the only door out of a node, and the fence that closes it."""
