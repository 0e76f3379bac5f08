"""Retention: forgets mail that ended long ago, as long as the inventory says.

First its content, later the message with its history and key. Goes through what is old enough in
the order of ids, which is that of time, a batch a cycle; at the end it rests for an hour. A new
leader begins again: what is forgotten is not there to be looked at.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from prometheus_client import Counter

from controller.message_id import first_of
from controller.message_life import FINAL
from controller.metrics import REGISTRY
from controller.store import Store, Transaction, queries
from inventory.retention import Retention as Settings

FORGOTTEN = Counter(
    "postfleet_controller_forgotten_total",
    "What was forgotten because it ended long ago, by what: contents, messages.",
    ["what"],
    registry=REGISTRY,
)
_SQL = queries.load("retention")
_FLEET = queries.load("intake")["fleet"]
_STATES = sorted(FINAL)
_BATCH = 1000
_REST_S = 3600.0
# Ids are as old as the clock of the controller that gave them, ends as the database's.
_CLOCKS = timedelta(days=1)


class Retention:
    """One leader's retention; it remembers how far it is."""

    def __init__(
        self,
        store: Store,
        now: Callable[[], datetime] | None = None,
        clock: Callable[[], float] = time.monotonic,
        batch: int = _BATCH,
    ) -> None:
        """`now`: aware times; None: the database's. `clock`: seconds, for the rest."""
        self._store = store
        self._now = now
        self._clock = clock
        self._batch = batch
        self._rests_until_s = clock()
        self._after = {"contents": "", "messages": ""}

    async def run_cycle(self) -> str:
        """Forgets up to a batch of contents and a batch of messages."""
        if self._clock() < self._rests_until_s:
            return "rests"
        fleet = await self._store.fetch_optional(_FLEET)
        settings = Settings.model_validate((fleet["value"] if fleet else {}).get("retention", {}))
        contents = await self._forget("contents", settings.content_days)
        messages = await self._forget("messages", settings.message_days)
        if max(contents, messages) < self._batch:
            self._rests_until_s = self._clock() + _REST_S
        return f"forgot {contents} contents and {messages} messages"

    async def _forget(self, what: str, days: int) -> int:
        """How many; the next time goes on behind them, or from the beginning where these were the
        last."""
        async with self._store.transaction() as tx:
            now = self._now() if self._now else await tx.now()
            ended_before = now - timedelta(days=days)
            rows = await tx.fetch_all(
                _SQL[what], states=_STATES, limit=self._batch, after=self._after[what],
                ended_before=ended_before, id_before=first_of(ended_before + _CLOCKS),
            )  # fmt: skip
            ids = sorted(row["id"] for row in rows)
            if what == "messages" and ids:
                await _delete(tx, ids)
        FORGOTTEN.labels(what).inc(len(ids))
        self._after[what] = ids[-1] if len(ids) == self._batch else ""
        return len(ids)


async def _delete(tx: Transaction, ids: Sequence[str]) -> None:
    for statement in ("forget_events", "forget_submissions", "forget_messages"):
        await tx.execute(_SQL[statement], ids=ids)
