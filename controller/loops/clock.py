"""Clock: mends what a clock that was set back left in the future (docs/decisions/0021).

The database's clock is the fleet's. Its greatest reading is kept; while the clock is behind that,
what was written in the future is counted from now on: slots and the messages planned for them,
stops, slow-downs, breakers, questions to the DNS. What nodes hold for a time that does not come
soon is called back by their sessions (`sessions.on_nodes`), and planned anew here. Leases carry no
time at all.
"""

from __future__ import annotations

from datetime import datetime

from controller.audit import write_audit
from controller.planner.settings import settings_of
from controller.planner.unplan import unplan
from controller.store import Store, Transaction, queries

_SQL = queries.load("clock")
_SETTINGS = queries.load("intake")["fleet"]
_BATCH = 1000
_MENDED = ("slots", "accepted", "suspensions", "slow_downs", "breakers", "mail_domains", "nodes")
SLACK_S = 2.0
"""So far two transactions' clocks may differ, and a clock be slewed, without anybody's notice."""


class Clock:
    """One leader's; what it knows is in the database. `is_busy`: more is to be planned anew."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.is_busy = False

    async def run_cycle(self) -> str:
        """Reads the clock, and mends while it is behind; a second look changes nothing."""
        behind_s, mended = await self._store.run(_look)
        self.is_busy = mended.get("planned", 0) == _BATCH
        if behind_s <= SLACK_S:
            return "the clock runs on"
        if not mended:
            return "the clock was set back; nothing lies in the future any more"
        did = ", ".join(f"{count} {what}" for what, count in mended.items())
        return f"the clock was set back by {behind_s:.0f} s: mended {did}"


async def _look(tx: Transaction) -> tuple[float, dict[str, int]]:
    row = await tx.fetch_one(_SQL["read"])
    behind_s = _behind_s(row["highest"], row["now"])
    if behind_s <= SLACK_S:
        return behind_s, {}
    mended = {"planned": await _unplan(tx)}
    for name in _MENDED:
        mended[name] = await tx.execute(_SQL[name], slack_s=SLACK_S)
    mended = {name: count for name, count in mended.items() if count}
    if mended:
        await write_audit(
            tx,
            actor="controller/clock",
            action="mend-times",
            subject="clock/database",
            reason=f"the database's clock was set back by {behind_s:.0f} s; what was written ahead "
            "of it counts from now",
            evidence={"highest": row["highest"].isoformat(), "mended": mended},
        )
    return behind_s, mended


def _behind_s(highest: datetime, now: datetime) -> float:
    return (highest - now).total_seconds()


async def _unplan(tx: Transaction) -> int:
    stored = await tx.fetch_optional(_SETTINGS)
    horizon_s = settings_of(stored["value"] if stored else None).horizon.total_seconds()
    rows = await tx.fetch_all(_SQL["planned"], ahead_s=horizon_s + SLACK_S, limit=_BATCH)
    if rows:
        reason = "it was planned when the clock was ahead"
        await unplan(tx, [row["id"] for row in rows], reason)
    return len(rows)
