"""Recovery: ends what receivers' words began, when its time has come. Audited like its beginning.

A slowed pair becomes free by arithmetic alone; this only takes rows away that limit nothing any
more, so a recovery that runs late makes nobody late.
"""

from __future__ import annotations

from controller.audit import Entry, write_audits
from controller.store import Store, Transaction, queries
from controller.throttle.alone import act_alone
from controller.throttle.follow import ACTOR, SOURCE
from controller.throttle.run import BREAKER
from inventory.schema import Fleet

_SQL = queries.load("throttle")
_SETTINGS = queries.load("intake")["fleet"]
SOURCES = (SOURCE, BREAKER)


class Recovery:
    """One leader's recovery; it remembers nothing."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def run_cycle(self) -> str:
        """Ends suspensions that are over and slow-downs that are free."""
        ended, lifted = await self._store.run(_recover)
        if not ended and not lifted:
            return "nothing to end"
        return f"ended {ended} suspensions, lifted {lifted} slow-downs"


async def _recover(tx: Transaction) -> tuple[int, int]:
    fleet = await tx.fetch_optional(_SETTINGS)
    if fleet is None:
        return 0, 0
    # What an egress may send in a day can bind nobody in an hour.
    free = Fleet.model_validate(fleet["value"]).limits.egress_per_day
    await act_alone(tx)
    ended = await tx.fetch_all(_SQL["end_suspensions"], sources=list(SOURCES))
    lifted = await tx.fetch_all(_SQL["lift"], free_per_hour=free)
    await tx.execute(_SQL["forget_breakers"])
    await write_audits(
        tx,
        [
            Entry(
                actor=ACTOR,
                action=f"release-{row['scope']}",
                subject=f"{row['scope']}/{row['subject']}",
                reason=f"{row['stage']}: the time is over",
                evidence={"was": row["reason"], "until": row["until"].isoformat()},
            )
            for row in ended
        ]
        + [
            Entry(
                actor=ACTOR,
                action=f"release-{row['scope']}",
                subject=f"{row['scope']}/{row['provider']}/{row['subject']}",
                reason=f"{row['rule']}: no refusal since {row['since']:%Y-%m-%d %H:%M} UTC",
                evidence={"per_hour": row["per_hour"]},
            )
            for row in lifted
        ],
    )
    return len(ended), len(lifted)
