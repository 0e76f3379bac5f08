"""Scenarios of failure on a whole fleet: each breaks one thing while mail flows, and is judged by
witnesses that no part of postfleet wrote.

`python -m lab.chaos`; see lab.chaos.__main__ for the options and docs/chaos.md for the table. The
fleet is the demonstration's (`lab.demo`), its judgement too; what is added is the breaking
(`scenes_*`), the load beside it, and what the witnesses say about time (`overlap`, `resume`,
`caps`: pure).
"""
