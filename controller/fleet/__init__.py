"""The fleet as operators see and order it: inventory, lists, DNS records (FleetService)."""
