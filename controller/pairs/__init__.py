"""Pairs that receivers slowed or stopped, as operators see and release them (`service`)."""
