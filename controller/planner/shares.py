"""How much of a cycle each client gets. Pure.

Clients never share a mailbox, so what they compete for is the planner's time. In each cycle every
client with work gets a turn, so a million messages of one delay another's ten by one turn at most;
how long a turn is grows with the client's priority.
"""

from __future__ import annotations

from collections.abc import Mapping


def shares(priorities: Mapping[str, int], batch: int) -> dict[str, int]:
    """The most messages of each client in this cycle, at least one.

    The highest of these priorities gets `batch`; the others as much less as their weight, which is
    the priority and one.
    """
    highest = max(priorities.values(), default=0)
    return {
        client: max(1, batch * (1 + priority) // (1 + highest))
        for client, priority in priorities.items()
    }
