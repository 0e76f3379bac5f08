"""Warming: goes on with warm-ups once a local day is over, and says so in the audit log."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from controller.audit import Entry, write_audits
from controller.planner.settings import Settings, settings_of
from controller.planner.warm_up import Judged, Signal, allowance, judge
from controller.store import Row, Store, Transaction, queries

_SQL = queries.load("warm_up")
_SETTINGS = queries.load("intake")["fleet"]
ACTOR = "controller/warming"
_BATCH = 2000
_REMEMBERED = timedelta(days=40)


class Warming:
    """One leader's warming; it remembers nothing. `clock`: aware times; None: the database's."""

    def __init__(self, store: Store, clock: Callable[[], datetime] | None = None) -> None:
        self._store = store
        self._clock = clock

    async def run_cycle(self) -> str:
        """Begins what is to warm up, judges days that are over, ends what is done."""
        begun, judged = await self._store.run(self._step)
        if not begun and not judged:
            return "no warm-up has a day to judge"
        return f"began {begun} warm-ups, judged a day of {judged}"

    async def _step(self, tx: Transaction) -> tuple[int, int]:
        row = await tx.fetch_optional(_SETTINGS)
        settings = settings_of(row["value"] if row else None)
        now = self._clock() if self._clock else await tx.now()
        curves = settings.curves_as_columns()
        await tx.execute(_SQL["forget"], **curves)
        await tx.execute(_SQL["forget_sent"], before=(now - _REMEMBERED).date())
        lasts = [settings.curve(*each)[-1][0] for each in settings.warm_ups]
        begun = await tx.fetch_all(_SQL["begin"], now=now, lasts=lasts, **curves)
        await write_audits(tx, (_begun(each, settings) for each in begun))
        rows = await tx.fetch_all(_SQL["to_judge"], now=now, limit=_BATCH)
        judged = [(each, _judge(each, settings)) for each in rows]
        if judged:
            await _keep(tx, judged)
            await write_audits(tx, _entries(judged, settings))
        return len(begun), len(judged)


def _judge(row: Row, settings: Settings) -> Judged:
    curve, limit = settings.curve(row["scope"], row["provider"]), settings.day_limit(row["scope"])
    return judge(curve, row["day"], limit, sent=row["sent"], signal=Signal(row["signal"]))


async def _keep(tx: Transaction, judged: list[tuple[Row, Judged]]) -> None:
    await tx.execute(
        _SQL["keep"],
        scopes=[row["scope"] for row, _ in judged],
        subjects=[row["subject"] for row, _ in judged],
        providers=[row["provider"] for row, _ in judged],
        days=[each.day for _, each in judged],
        judged=[row["yesterday"] for row, _ in judged],
        overs=[each.over for _, each in judged],
    )
    for scope, query in (("mailbox", "end_mailboxes"), ("egress", "end_egresses")):
        over = [
            row["subject"]
            for row, each in judged
            if each.over and row["scope"] == scope and not row["provider"]
        ]
        if over:
            await tx.execute(_SQL[query], subjects=over)


def _begun(row: Row, settings: Settings) -> Entry:
    most = allowance(settings.curve(row["scope"], row["provider"]), row["day"])
    return Entry(
        actor=ACTOR,
        action="begin-warm-up",
        subject=f"{row['scope']}/{row['subject']}",
        reason="it is warming up, as the inventory or health says",
        evidence={**_toward(row), "day": row["day"], "messages_a_day": most},
    )


def _entries(judged: Iterable[tuple[Row, Judged]], settings: Settings) -> Iterable[Entry]:
    """One for each that changed; a day that does not count changes nothing."""
    for row, each in judged:
        if each.day == row["day"] and not each.over:
            continue
        curve = settings.curve(row["scope"], row["provider"])
        action = "end-warm-up" if each.over else "move-warm-up"
        yield Entry(
            actor=ACTOR,
            action=action,
            subject=f"{row['scope']}/{row['subject']}",
            reason=": ".join(filter(None, (each.why, row["signal_reason"]))),
            evidence={
                **_toward(row),
                "judged": row["yesterday"].isoformat(),
                "day": {"before": row["day"], "now": each.day},
                "messages_a_day": {
                    "before": allowance(curve, row["day"]),
                    "now": allowance(curve, each.day),
                },
            },
        )


def _toward(row: Row) -> dict[str, str]:
    """Of a warm-up for one provider's mail, which."""
    return {"provider": row["provider"]} if row["provider"] else {}
