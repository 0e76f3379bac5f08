"""What runs on a node: the agent, the gateway and the one-shot apply (three processes, three users)."""
