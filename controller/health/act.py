"""Does what verdicts say, in the transaction that writes them, with their audit entries.

What is stopped is suspended by source `health`: neither the planner nor dispatch uses it, and its
node hands nothing over. No other suspension is touched, and only health or an operator's `resume`
ends this one. What comes back begins its warm-up on the first day.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from controller.audit import Entry, write_audits
from controller.health.bands import Band, Standing
from controller.health.judge import Verdict
from controller.health.read import SQL, Known
from controller.store import Transaction
from inventory.warm_up import WarmUp

ACTOR = "controller/health"
_VERBS = {
    Band.GOOD: "clear", Band.WATCH: "watch", Band.SLOWED: "slow", Band.PAUSED: "pause",
    Band.QUARANTINED: "quarantine",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Judged:
    """A verdict and what was before."""

    known: Known
    verdict: Verdict

    @property
    def changed(self) -> bool:
        return self.verdict.standing is not self.known.standing

    @property
    def returns(self) -> bool:
        """Whether it may send again."""
        return self.verdict.standing.band.sends and not self.known.standing.band.sends

    @property
    def reason(self) -> str:
        """Why it is where it is; as long as it stays there, what led to it."""
        if not self.changed:
            return self.known.reason
        standing = self.verdict.standing
        words = self.verdict.calls.words() or "nothing speaks against it"
        if self.returns:
            return "its time is over: it warms up from the bottom and is judged anew"
        if standing.until is None:
            return words
        return f"until {standing.until:%Y-%m-%d %H:%M} UTC at least: {words}"


async def act(
    tx: Transaction, scope: str, judged: Sequence[Judged], now: datetime, warm_up: WarmUp
) -> None:
    """Writes all of it; does and audits what changed. `warm_up`: of the inventory."""
    await keep(tx, scope, [(j.known.subject, j.verdict.standing, j.verdict.score.value, j.reason)
                           for j in judged], now)  # fmt: skip
    changed = [each for each in judged if each.changed]
    for each in changed:
        if not each.verdict.standing.band.sends:
            await tx.execute(
                SQL["stop"], scope=scope, subject=each.known.subject,
                stage=str(each.verdict.standing.band), reason=each.reason,
                evidence=_evidence(each),
            )  # fmt: skip
    back = [each.known.subject for each in changed if each.returns]
    await go_on(tx, scope, back, now, bottom_of=warm_up)
    slowed = [j.known.subject for j in changed if j.verdict.standing.band is Band.SLOWED
              and j.known.standing.band < Band.SLOWED]  # fmt: skip
    if slowed:
        await tx.execute(SQL["step_back"], scope=scope, subjects=slowed)
    await write_audits(tx, _audit(scope, changed))


async def keep(
    tx: Transaction, scope: str, rows: Iterable[tuple[str, Standing, float, str]], now: datetime
) -> None:
    """Writes (subject, standing, score, reason) of each."""
    rows = list(rows)
    if not rows:
        return
    standings = [standing for _, standing, _, _ in rows]
    await tx.execute(
        SQL["keep"],
        scope=scope,
        subjects=[subject for subject, _, _, _ in rows],
        bands=[str(each.band) for each in standings],
        sinces=[each.since for each in standings],
        untils=[each.until for each in standings],
        stops=[each.stops for each in standings],
        stopped_ats=[each.stopped_at for each in standings],
        counted_froms=[each.counted_from for each in standings],
        scores=[score for _, _, score, _ in rows],
        reasons=[reason[:1000] for _, _, _, reason in rows],
        now=now,
    )


async def go_on(
    tx: Transaction, scope: str, subjects: Sequence[str], now: datetime, bottom_of: WarmUp | None
) -> None:
    """Ends health's stop of these. They begin at the bottom of that warm-up, of a domain its
    mailboxes; None: they go on as they were."""
    for subject in subjects:
        await tx.execute(SQL["go_on"], scope=scope, subject=subject)
    if not subjects or bottom_of is None:
        return
    for warming, query in (("mailbox", "to_the_bottom_mailboxes"),
                           ("egress", "to_the_bottom_egresses")):  # fmt: skip
        rows = await tx.fetch_all(SQL[query], scope=scope, subjects=list(subjects))
        if rows:
            await tx.execute(
                SQL["first_day"],
                scope=warming,
                subjects=[row["subject"] for row in rows],
                providers=["", *bottom_of.providers_with(warming)],
                now=now,
            )


def _audit(scope: str, changed: Iterable[Judged]) -> list[Entry]:
    return [
        Entry(
            actor=ACTOR,
            action=f"{'requalify' if each.returns else _VERBS[each.verdict.standing.band]}-{scope}",
            subject=f"{scope}/{each.known.subject}",
            reason=each.reason[:1000],
            evidence=_evidence(each),
        )
        for each in changed
    ]


def _evidence(each: Judged) -> dict[str, Any]:
    standing = each.verdict.standing
    return {
        "band": {"before": str(each.known.standing.band), "now": str(standing.band)},
        "until": standing.until.isoformat() if standing.until else None,
        "score": round(each.verdict.score.value, 1),
        "parts": {part.name: [round(part.points, 1), part.words]
                  for part in each.verdict.score.parts},
    }  # fmt: skip
