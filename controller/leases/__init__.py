"""Leases: a node's right to send, without any wall clock (DESIGN, invariant 1).

`timing` has the arithmetic, `observer` decides when a term is over, `watcher` acts on it; granting
is `grants`. The node's half of the rule is in node_agent.
"""
