"""The planner's cycle: each client with waiting messages gets one round, in turn.

Fair by turns: no client gets a second one before every other one had its first, and the order
rotates, so that whoever is last when a cycle is cut short is not always the same.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from controller.planner import metrics
from controller.planner.assignment import Moment
from controller.planner.client_round import Round, plan_client
from controller.planner.settings import Settings, settings_of
from controller.planner.shares import shares
from controller.planner.unplan import unplan_overdue
from controller.store import Store, queries

SQL = queries.load("planner")
SETTINGS = queries.load("intake")["fleet"]
_OVERDUE = 1000
_AT_ONCE = 2
# A client for which nothing could be done is looked at again after a pause that doubles up to this.
_LONGEST_PAUSE_S = 2.0


@dataclass(frozen=True, slots=True)
class _Pause:
    """Until when (monotonic) a client is left alone, because nothing could be done for it, and why.

    `why`: as in Round; '' also where nothing is due yet.
    """

    length_s: float
    until_s: float
    why: str

    @classmethod
    def after(cls, last: _Pause | None, done: Round) -> _Pause:
        if done.more:
            return cls(0.05, 0.0, done.why)
        length_s = min(_LONGEST_PAUSE_S, 2 * last.length_s if last else 0.1)
        return cls(length_s, time.monotonic() + length_s, done.why)


class Planner:
    """Plans for one controller. `run_cycle` may run on several controllers at once.

    `batch`: the most messages of one client in one transaction. After a cycle `is_busy` says
    whether there is more to assign at once. `clock`: aware times; None: the database's.
    """

    def __init__(
        self, store: Store, batch: int = 500, clock: Callable[[], datetime] | None = None
    ) -> None:
        self._store = store
        self._batch = batch
        self._clock = clock
        self._first = ""
        self._pauses: dict[str, _Pause] = {}
        self.is_busy = False

    async def run_cycle(self) -> str:
        """One round for each client; gives a sentence on what it did and what holds up the rest.

        Raises StoreError where the database does not answer; rounds already done stay done.
        """
        settings, now = await self._begin()
        moment = Moment(now, now + settings.horizon)
        overdue = await self._store.run(lambda tx: unplan_overdue(tx, now, _OVERDUE))
        metrics.OVERDUE.inc(overdue)
        clients = await self._clients()
        paused = {c: Round(0, p.why) for c in clients if (p := self._pause(c)) is not None}
        turns = shares({c: p for c, p in clients.items() if c not in paused}, self._batch)
        rounds = paused | await self._rounds(turns, moment, settings)
        self.is_busy = any(r.more for r in rounds.values()) or overdue == _OVERDUE
        return sentence(rounds, overdue)

    async def _rounds(
        self, turns: Mapping[str, int], moment: Moment, settings: Settings
    ) -> dict[str, Round]:
        """Two at a time: while the database works for one client, we choose for another."""
        at_once = asyncio.Semaphore(_AT_ONCE)

        async def turn(client_id: str) -> Round:
            async with at_once:
                return await self._round(client_id, moment, settings, turns[client_id])

        done = await asyncio.gather(*map(turn, turns), return_exceptions=True)
        for each in done:
            if isinstance(each, BaseException):
                raise each
        return {c: each for c, each in zip(turns, done, strict=True) if isinstance(each, Round)}

    async def _begin(self) -> tuple[Settings, datetime]:
        async with self._store.transaction() as tx:
            row = await tx.fetch_optional(SETTINGS)
            now = self._clock() if self._clock else await tx.now()
        return settings_of(row["value"] if row else None), now

    def _pause(self, client_id: str) -> _Pause | None:
        """The pause that the client is in."""
        pause = self._pauses.get(client_id)
        return pause if pause and pause.until_s > time.monotonic() else None

    async def _clients(self) -> dict[str, int]:
        """Priorities of the clients that have messages waiting, in the order of their turns."""
        rows = await self._store.fetch_all(SQL["clients_waiting"])
        clients = {row["id"]: row["priority"] for row in rows}
        for client_id in set(self._pauses) - set(clients):
            del self._pauses[client_id]
            metrics.HELD_BACK.labels(client_id).set(0)
        later = [c for c in clients if c > self._first]
        rotated = later + [c for c in clients if c <= self._first]
        self._first = rotated[0] if rotated else ""
        return {client: clients[client] for client in rotated}

    async def _round(self, client_id: str, moment: Moment, settings: Settings, most: int) -> Round:
        done = await self._store.run(lambda tx: plan_client(tx, client_id, moment, settings, most))
        self._pauses[client_id] = _Pause.after(self._pauses.get(client_id), done)
        metrics.ASSIGNED.labels(client_id).inc(done.assigned)
        if done.taken_by_other:
            metrics.CONFLICTS.inc()
        else:
            metrics.HELD_BACK.labels(client_id).set(1 if done.why else 0)
        return done


def sentence(rounds: dict[str, Round], overdue: int) -> str:
    """What a cycle did, in words. Pure."""
    parts = []
    if overdue:
        parts.append(f"took {overdue} back that were planned for an hour that is over")
    assigned = {c: r.assigned for c, r in rounds.items() if r.assigned}
    if assigned:
        clients = ", ".join(f"{client} {count}" for client, count in sorted(assigned.items()))
        parts.append(f"assigned {sum(assigned.values())} messages ({clients})")
    others = sorted(c for c, r in rounds.items() if r.taken_by_other)
    if others:
        parts.append(f"left {', '.join(others)} to another planner")
    held = [f"{client} waits: {r.why}" for client, r in sorted(rounds.items()) if r.why]
    parts += held
    return "; ".join(parts) if parts else "nothing to assign: no message is due"
