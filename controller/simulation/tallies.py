"""What receivers said of each mailbox, egress and domain in the last thirty days of a simulation.

By days, where the controller keeps hours: the window of one hour is empty here.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Mapping
from datetime import date, timedelta

from controller.health.counts import SENT, Counts, Window
from controller.planner.limits import Sender

_DAYS = {Window.DAY: 1, Window.WEEK: 7, Window.MONTH: 30}
_Subject = tuple[str, str]
_Day = dict[tuple[str, str], int]
"""Counts by provider and kind."""


class Tallies:
    """`senders`: all mailboxes, by address."""

    def __init__(self, senders: Mapping[str, Sender]) -> None:
        self._senders = senders
        self._seen: list[tuple[str, str, str]] = []
        self._days: dict[_Subject, deque[tuple[date, _Day]]] = {}

    def add(self, mailbox: str, provider: str, kind: str) -> None:
        """One more; `kind` is one of `controller.health.counts`."""
        self._seen.append((mailbox, provider, kind))

    def close(self, day: date) -> set[_Subject]:
        """The day is over; gives those (scope, subject) of which something was heard but good."""
        sums: dict[_Subject, _Day] = defaultdict(lambda: defaultdict(int))
        heard: set[_Subject] = set()
        for (mailbox, provider, kind), count in Counter(self._seen).items():
            sender = self._senders[mailbox]
            for subject in (
                ("mailbox", mailbox),
                ("egress", sender.egress_id),
                ("domain", sender.domain),
            ):
                sums[subject][provider, kind] += count
                if kind != SENT:
                    heard.add(subject)
        for subject, counts in sums.items():
            days = self._days.setdefault(subject, deque(maxlen=_DAYS[Window.MONTH]))
            days.append((day, counts))
        self._seen.clear()
        return heard

    def counts(
        self, subject: _Subject, day: date, since: date | None
    ) -> tuple[Counts, dict[str, Counts]]:
        """In all and by provider, at the end of this day; `since`: from that day on."""
        all_: dict[Window, dict[str, int]] = {window: {} for window in Window}
        by_provider: dict[str, dict[Window, dict[str, int]]] = {}
        for each, counts in self._days.get(subject, ()):
            if since is not None and each < since:
                continue
            for window, days in _DAYS.items():
                if each <= day - timedelta(days=days):
                    continue
                in_all = all_[window]
                for (provider, kind), count in counts.items():
                    in_all[kind] = in_all.get(kind, 0) + count
                    of = by_provider.get(provider)
                    if of is None:
                        of = by_provider[provider] = {window: {} for window in Window}
                    kinds = of[window]
                    kinds[kind] = kinds.get(kind, 0) + count
        return all_, dict(by_provider)
