"""The inventory: what the fleet is made of. Schema, loader and the reference fleet."""
