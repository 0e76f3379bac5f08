"""Stores the reports of all sessions of this process, those of one moment in one transaction.

A report is acknowledged when `store` has returned, which is after its commit. A session stores what
it has to say before it says more, so the order of a spool is kept whatever becomes of a batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

from postfleet.v1 import node_pb2

from controller.events.report import Report
from controller.events.reports import record
from controller.store import Gatherer, Store
from controller.throttle import metrics
from controller.throttle.heard import Listener

# Events in one transaction: some tens of milliseconds of work.
MOST_EVENTS = 2000
# Where there is much to store, a report waits so long for others.
GATHER_S = 0.05
Events = list[node_pb2.MessageEvent]


class Recorder:
    """One for all sessions."""

    def __init__(self, store: Store, listener: Listener) -> None:
        self._store = store
        self._listener = listener
        self._reports: Gatherer[Sequence[Report], Events] = Gatherer(
            self._record, most=MOST_EVENTS, weigh=_events, every_s=GATHER_S
        )

    async def store(self, reports: Sequence[Report]) -> Events:
        """Commits all of these, or raises StoreError; gives the events that were new, in order."""
        return await self._reports.do(reports)

    async def close(self) -> None:
        """Stores no more."""
        await self._reports.close()

    async def _record(self, asked: Sequence[Sequence[Report]]) -> list[Events]:
        flat = list(chain.from_iterable(asked))
        recorded = await self._store.run(lambda tx: record(tx, flat, self._listener))
        for each in recorded:
            metrics.count(each.heard, self._listener.table)
        left = iter(recorded)
        return [[event for _ in reports for event in next(left).new] for reports in asked]


def _events(reports: Sequence[Report]) -> int:
    return sum(len(report.events) for report in reports)
