"""The planner's cycle: each client with waiting messages gets one round, in turn.

Fair by batches: no client gets a second batch before every other one had its first, and the order
rotates, so that whoever is last when a cycle is cut short is not always the same.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

from controller.planner import metrics
from controller.planner.allowance import Caps
from controller.planner.client_round import Moment, Round, plan_client
from controller.planner.unplan import unplan_moved, unplan_overdue
from controller.store import Store, queries
from inventory.schema import Fleet, Limits

SQL = queries.load("planner")
SETTINGS = queries.load("intake")["fleet"]
_TAKEN_BACK = 1000
# Inventories change rarely, and looking for moved mailboxes reads all that is scheduled.
_LOOK_FOR_MOVED_S = 30.0


def utc_now() -> datetime:
    """The clock of the running controller."""
    return datetime.now(UTC)


class Planner:
    """Plans for one controller. `run_cycle` may run on several controllers at once.

    `batch`: messages of one client in one transaction. After a cycle `is_busy` says whether there
    is more to assign at once.
    """

    def __init__(
        self, store: Store, batch: int = 500, clock: Callable[[], datetime] = utc_now
    ) -> None:
        self._store = store
        self._batch = batch
        self._clock = clock
        self._first = ""
        self._look_for_moved_at_s = 0.0
        self.is_busy = False

    async def run_cycle(self) -> str:
        """One round for each client; gives a sentence on what it did and what holds up the rest.

        Raises StoreError where the database does not answer; rounds already done stay done.
        """
        caps, horizon = await self._settings()
        moment = moment_at(self._clock(), horizon)
        taken_back = await self._take_back(moment.day)
        rounds: dict[str, Round] = {}
        for client_id in await self._clients():
            rounds[client_id] = await self._round(client_id, moment, caps)
        self.is_busy = any(r.more for r in rounds.values()) or taken_back >= _TAKEN_BACK
        return sentence(rounds, taken_back)

    async def _take_back(self, today: date) -> int:
        taken_back = await self._store.run(lambda tx: unplan_overdue(tx, today, _TAKEN_BACK))
        if time.monotonic() >= self._look_for_moved_at_s:
            taken_back += await self._store.run(lambda tx: unplan_moved(tx, _TAKEN_BACK))
            self._look_for_moved_at_s = time.monotonic() + _LOOK_FOR_MOVED_S
        metrics.TAKEN_BACK.inc(taken_back)
        return taken_back

    async def _settings(self) -> tuple[Caps, timedelta]:
        row = await self._store.fetch_optional(SETTINGS)
        settings = row["value"] if row else {}
        limits = settings.get("limits", {})
        defaults = Limits()
        horizon_s = settings.get(
            "dispatch_horizon_s", Fleet.model_fields["dispatch_horizon_s"].default
        )
        caps = Caps(
            limits.get("mailbox_per_day", defaults.mailbox_per_day),
            limits.get("egress_per_day", defaults.egress_per_day),
        )
        return caps, timedelta(seconds=horizon_s)

    async def _clients(self) -> list[str]:
        rows = await self._store.fetch_all(SQL["clients_waiting"])
        clients = [row["id"] for row in rows]
        later = [c for c in clients if c > self._first]
        rotated = later + [c for c in clients if c <= self._first]
        self._first = rotated[0] if rotated else ""
        return rotated

    async def _round(self, client_id: str, moment: Moment, caps: Caps) -> Round:
        done = await self._store.run(
            lambda tx: plan_client(tx, client_id, moment, caps, self._batch)
        )
        metrics.ASSIGNED.labels(client_id).inc(done.assigned)
        if done.taken_by_other:
            metrics.CONFLICTS.inc()
        else:
            metrics.HELD_BACK.labels(client_id).set(1 if done.why else 0)
        return done


def moment_at(now: datetime, horizon: timedelta) -> Moment:
    """What is due: up to the horizon, but not beyond the day (UTC) that will be charged. Pure."""
    day = now.astimezone(UTC).date()
    return Moment(now, min(now + horizon, _end_of(day)), day)


def _end_of(day: date) -> datetime:
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1)
    return midnight - timedelta(microseconds=1)


def sentence(rounds: dict[str, Round], taken_back: int) -> str:
    """What a cycle did, in words. Pure."""
    parts = []
    if taken_back:
        parts.append(f"took {taken_back} back whose day is over or whose mailbox moved")
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
