"""What the gateway remembers of connections that ended a short while ago. Pure: instants come in.

When Postfix has died, the guard asks which egresses had a connection open at that moment: those
that are open still, or ended since. How many octets had gone out tells more: a message of 40 KB was
not sent over a connection that carried 2 KB.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

# Longer than systemd takes to end what is left of Postfix, with TimeoutStopSec=20s.
REMEMBERED_NS = 60_000_000_000
# Ends of one egress that are nearer to each other are remembered as one.
_GRAIN_NS = 100_000_000
# Of a connection of an earlier process, nobody knows.
UNKNOWN_OCTETS = 2**62


@dataclass(frozen=True, slots=True)
class Risk:
    """What one egress's connections could have carried."""

    connections: int
    # Towards the receiver, by the one that carried most.
    most_octets: int


@dataclass(slots=True)
class _Ended:
    at_ns: int
    connections: int
    most_octets: int


class Recent:
    """Ends of connections by egress, of the last minute."""

    def __init__(self) -> None:
        self._ended: dict[str, deque[_Ended]] = {}

    def ended(self, egress_id: str, now_ns: int, octets: int) -> None:
        """Remember that a connection ended."""
        ends = self._ended.setdefault(egress_id, deque())
        if ends and now_ns - ends[-1].at_ns < _GRAIN_NS:
            last = ends[-1]
            last.at_ns = now_ns
            last.connections += 1
            last.most_octets = max(last.most_octets, octets)
        else:
            ends.append(_Ended(now_ns, 1, octets))
            self._forget(ends, now_ns)

    def lately(self, egress_id: str, now_ns: int) -> bool:
        """Whether one ended within what is remembered; forgets what is older."""
        ends = self._ended.get(egress_id)
        if ends is None:
            return False
        self._forget(ends, now_ns)
        if not ends:
            del self._ended[egress_id]
        return bool(ends)

    def at_risk(self, still_open: Iterable[tuple[str, int]], since_ns: int) -> dict[str, Risk]:
        """By egress: connections that were open at `since_ns` or later.

        `still_open`: (egress id, octets out) of those that are.
        """
        found: dict[str, Risk] = {}

        def add(egress_id: str, connections: int, octets: int) -> None:
            before = found.get(egress_id, Risk(0, 0))
            found[egress_id] = Risk(
                before.connections + connections, max(before.most_octets, octets)
            )

        for egress_id, octets in still_open:
            add(egress_id, 1, octets)
        for egress_id, ends in self._ended.items():
            for end in ends:
                if end.at_ns >= since_ns:
                    add(egress_id, end.connections, end.most_octets)
        return found

    @staticmethod
    def _forget(ends: deque[_Ended], now_ns: int) -> None:
        while ends and now_ns - ends[0].at_ns > REMEMBERED_NS:
            ends.popleft()
