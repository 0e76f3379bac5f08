"""Health: judges what has new counts, and what is not good, and does what follows.

Each cycle judges mailboxes, then egresses, then domains, so that who sends through something is
judged before it. Work grows with what sends, not with the fleet: what has no new counts can only
have become better, and is left alone while it is good. A new leader goes on from the last verdict.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from controller.health import metrics
from controller.health.act import Judged, act
from controller.health.bands import Band
from controller.health.judge import SCOPES, judge
from controller.health.read import SQL, evidence, standings
from controller.store import Store, Transaction, queries
from inventory.health import Health as Settings
from inventory.warm_up import WarmUp

_SETTINGS = queries.load("intake")["fleet"]
# Counts are dated by the beginning of the transaction that wrote them; it may end later.
_OVERLAP = timedelta(seconds=30)
_AGAIN = timedelta(minutes=10)
_BATCH = 200
_FOLD_EVERY_S = 3600.0
_FOLD = 20_000


class Health:
    """One leader's health; it remembers up to when it has looked."""

    def __init__(self, store: Store, clock: Callable[[], datetime] | None = None) -> None:
        self._store = store
        self._clock = clock
        self._looked: datetime | None = None
        self._folded_s = -_FOLD_EVERY_S

    async def run_cycle(self) -> str:
        """One look; gives what it came to, in a sentence."""
        await self._fold()
        settings, warm_up = await self._settings()
        since, now = await self._since()
        judged = changed = 0
        below: list[str] = []
        for number, scope in enumerate(SCOPES):
            subjects = set(await self._to_judge(scope, since, now))
            if below:
                rows = await self._store.fetch_all(
                    SQL["above"], scope=SCOPES[number - 1], subjects=below
                )
                subjects |= {row["subject"] for row in rows}
            done = await self._judge(scope, sorted(subjects), settings, warm_up)
            judged, changed = judged + len(done), changed + sum(each.changed for each in done)
            below = [each.known.subject for each in done if each.changed]
        if judged:
            await self._store.execute(SQL["freeze"])
        self._looked = now - _OVERLAP
        await self._show()
        return f"judged {judged}, {changed} changed" if judged else "nothing to judge"

    async def _since(self) -> tuple[datetime, datetime]:
        async with self._store.transaction() as tx:
            now = self._clock() if self._clock else await tx.now()
            last = self._looked or await tx.fetch_value(SQL["last_judged"])
        return (last - _OVERLAP if last else now - timedelta(days=2)), now

    async def _settings(self) -> tuple[Settings, WarmUp]:
        row = await self._store.fetch_optional(_SETTINGS)
        value = row["value"] if row else {}
        health = Settings.model_validate(value.get("health", {}))
        return health, WarmUp.model_validate(value.get("warm_up", {}))

    async def _to_judge(self, scope: str, since: datetime, now: datetime) -> list[str]:
        changed = await self._store.fetch_all(SQL["changed"], scope=scope, since=since)
        due = await self._store.fetch_all(SQL["due"], scope=scope, before=now - _AGAIN, now=now)
        return [row["subject"] for row in (*changed, *due)]

    async def _judge(
        self, scope: str, subjects: Sequence[str], settings: Settings, warm_up: WarmUp
    ) -> list[Judged]:
        done: list[Judged] = []
        for first in range(0, len(subjects), _BATCH):
            part = subjects[first : first + _BATCH]
            judged = await self._store.run(
                lambda tx: self._batch(tx, scope, part, settings, warm_up)  # noqa: B023
            )
            metrics.JUDGED.labels(scope).inc(len(judged))
            for each in judged:
                if each.changed:
                    metrics.CHANGES.labels(scope, str(each.verdict.standing.band)).inc()
            done += judged
            # Reckoning takes milliseconds; whoever else runs here gets a turn.
            await asyncio.sleep(0)
        return done

    async def _batch(
        self,
        tx: Transaction,
        scope: str,
        subjects: Sequence[str],
        settings: Settings,
        warm_up: WarmUp,
    ) -> list[Judged]:
        now = self._clock() if self._clock else await tx.now()
        known = await standings(tx, scope, subjects, now)
        found = await evidence(tx, scope, known, now)
        judged = [
            Judged(each, judge(now, each.standing, found[each.subject], settings))
            for each in known
        ]  # fmt: skip
        await act(tx, scope, judged, now, warm_up)
        return judged

    async def _fold(self) -> None:
        if time.monotonic() - self._folded_s < _FOLD_EVERY_S:
            return
        while await self._store.fetch_value(SQL["fold"], limit=_FOLD) == _FOLD:
            pass
        await self._store.execute(SQL["forget"])
        await self._store.execute(SQL["forget_verdicts"])
        self._folded_s = time.monotonic()

    async def _show(self) -> None:
        rows = await self._store.fetch_all(SQL["bands"])
        found = {(row["scope"], row["band"]): row for row in rows}
        for scope in SCOPES:
            for band in Band:
                row = found.get((scope, str(band)))
                metrics.SUBJECTS.labels(scope, str(band)).set(row["subjects"] if row else 0)
            lowest = [row["lowest"] for row in rows if row["scope"] == scope]
            metrics.LOWEST.labels(scope).set(min(lowest, default=100))
