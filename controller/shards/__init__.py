"""Shards: which node holds which egress now, what should move, and how it moves step by step.

`read` reads the fleet, `snapshot` shows it to `controller.placement`, `steps` says which part of a
plan may be done now. `drain` and `survival` answer what operators ask before they act.
"""
