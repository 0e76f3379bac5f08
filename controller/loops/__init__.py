"""The controller's loops. Each has a `run_cycle()` that returns a sentence on what it did and why.

On every controller, for its own sessions: dispatch, and what nodes must be told (sessions.pusher).
On the elected one: planner, reconcile (terms, placement), health, and what clears up (sweeper,
retention). Nothing depends on there being one only: election saves work, transactions keep order.
"""
