"""Decides which terms are over, by watching `renewals` stand still. Pure.

An observer belongs to one process and begins knowing nothing: a new leader waits in full. It never
compares times of two machines; what it is given are readings of its own monotonic clock.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from controller.leases.timing import silence_needed_s


@dataclass(frozen=True)
class LeaseRow:
    """A row of table `lease`; ttl and margin are the longest that were granted in the term."""

    node_id: str
    epoch: int
    renewals: int
    held: bool
    ttl_ms: int
    margin_ms: int


@dataclass(frozen=True)
class TermOver:
    """A term that nobody renewed for `silent_s` seconds. Ends only if `renewals` still holds."""

    node_id: str
    epoch: int
    renewals: int
    silent_s: float


@dataclass(frozen=True)
class _Sighting:
    epoch: int
    renewals: int
    since_s: float


class Observer:
    """What one process has seen of all leases."""

    def __init__(self) -> None:
        self._seen: dict[str, _Sighting] = {}

    def look(
        self, rows: Iterable[LeaseRow], *, read_from_s: float, read_until_s: float
    ) -> list[TermOver]:
        """Takes in a reading of the table, gives the terms that are over, ordered by node.

        The table was read between `read_from_s` and `read_until_s` (monotonic seconds). A value is
        counted as seen first at the end of the reading that found it, and as still there at the
        beginning of a later one: what lies between is silence for certain.
        """
        seen: dict[str, _Sighting] = {}
        over: list[TermOver] = []
        for row in rows:
            if not row.held:
                continue
            before = self._seen.get(row.node_id)
            if before is None or (before.epoch, before.renewals) != (row.epoch, row.renewals):
                before = _Sighting(row.epoch, row.renewals, read_until_s)
            seen[row.node_id] = before
            silent_s = read_from_s - before.since_s
            if silent_s >= silence_needed_s(row.ttl_ms, row.margin_ms):
                over.append(TermOver(row.node_id, row.epoch, row.renewals, silent_s))
        self._seen = seen
        return sorted(over, key=lambda term: term.node_id)
