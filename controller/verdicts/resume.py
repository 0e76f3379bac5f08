"""Lets something go on that health stopped or slowed. Audited with what it was stopped for.

It is watched from then on and judged by what it sends from then on: the old figures would stop it
again at once. By default it begins at the bottom of its warm-up, as it would at the end of the
stop.
"""

from __future__ import annotations

from dataclasses import dataclass

from controller.audit import write_audit
from controller.health.act import go_on, keep
from controller.health.bands import Band, requalified
from controller.health.read import SQL, Known, standings
from controller.store import Transaction, queries
from inventory.warm_up import WarmUp

_SETTINGS = queries.load("inventory")["settings"]


@dataclass(frozen=True, slots=True)
class Resumed:
    """`changed` False: health neither stops nor slows it."""

    changed: bool
    before: Known
    remaining: list[str]


async def resume(
    tx: Transaction, scope: str, subject: str, actor: str, reason: str, *, as_it_was: bool
) -> Resumed | None:
    """None: the fleet has nothing of that name."""
    now = await tx.now()
    known = await standings(tx, scope, [subject], now)
    if not known:
        return None
    before = known[0]
    changed = before.standing.band >= Band.SLOWED
    if changed:
        stopped = not before.standing.band.sends
        after = requalified(now, before.standing)
        words = f"{actor} let it go on: {reason}"
        await keep(tx, scope, [(subject, after, before.score, words)], now)
        if stopped:
            warm_up = None if as_it_was else await _warm_up(tx)
            await go_on(tx, scope, [subject], now, bottom_of=warm_up)
        await write_audit(
            tx,
            actor=actor,
            action=f"resume-{scope}",
            subject=f"{scope}/{subject}",
            reason=reason,
            evidence={
                "was": str(before.standing.band),
                "because": before.reason,
                "warm_up": "from the bottom" if stopped and not as_it_was else "as it was",
            },
        )
    rows = await tx.fetch_all(SQL["still_stopped"], scope=scope, subject=subject)
    return Resumed(changed, before, [row["words"] for row in rows])


async def _warm_up(tx: Transaction) -> WarmUp:
    stored = await tx.fetch_optional(_SETTINGS)
    return WarmUp.model_validate((stored["value"] if stored else {}).get("warm_up", {}))
