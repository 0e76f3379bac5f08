"""What runs on a node: agent, gateway and the one-shot apply; three processes, three users."""
