"""Why do messages wait? Writes it into them, for lists; `postfleet why` answers in full.

A message that waits only for its mailbox's next slot says so once; that does not change with every
slot. What a limit or a stop holds up says which one, and is corrected at the head of the queue.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from controller.planner.assignment import Moment
from controller.planner.lanes import WARM_UP
from controller.store import Row, Transaction, queries

SQL = queries.load("planner")

# How many messages get their reason in a round, how many at the head of a queue have one that has
# changed corrected, and for how many mailboxes.
_EXPLAINED = 250
_HEAD = 5
_MAILBOXES = 100


@dataclass(frozen=True, slots=True)
class Reasons:
    """Whose messages. `lanes`: those that are open. `internal_days`: of each warm-up. `idle`: the
    round assigned nothing.
    """

    client_id: str
    moment: Moment
    lanes: Sequence[int]
    internal_days: int
    idle: bool


@dataclass(frozen=True, slots=True)
class _Cause:
    """Why a mailbox sends no mail of its client now, and why no warm-up mail; '': it does."""

    mail: str
    warm_up_mail: str

    def of(self, row: Row) -> str:
        """Why this message waits for the mailbox."""
        return self.warm_up_mail if row["lane"] == WARM_UP else self.mail


async def explain(tx: Transaction, of: Reasons) -> str:
    """Writes reasons; gives the first cause that keeps due messages waiting, or ''."""
    asked = {"client_id": of.client_id, "until": of.moment.until}
    rows = await tx.fetch_all(SQL["unexplained"], **asked, limit=_EXPLAINED)
    named = sorted({row["mailbox"] for row in rows if row["mailbox"] is not None})
    causes = await _stopped(tx, of, named) if named else {}
    why_none = ""
    if of.idle:
        some = await _stopped(tx, of, [])
        causes |= some
        lanes = list(of.lanes)
        heads = await tx.fetch_all(SQL["heads_for_any"], **asked, lanes=lanes, each=_HEAD)
        why_none = await _why_none(tx, of.client_id, some) if heads else ""
        rows += heads + await tx.fetch_all(
            SQL["own_heads"], **asked, lanes=lanes, addresses=sorted(some), each=_HEAD
        )
    reasons = {row["id"]: _reason(row, causes, why_none) for row in rows}
    changed = {row["id"]: reasons[row["id"]] for row in rows if reasons[row["id"]] != row["reason"]}
    if changed:
        await tx.execute(SQL["explain"], ids=list(changed), reasons=list(changed.values()))
    return _why(rows, causes, why_none)


async def _stopped(tx: Transaction, of: Reasons, addresses: list[str]) -> dict[str, _Cause]:
    rows = await tx.fetch_all(
        SQL["stopped"],
        client_id=of.client_id,
        now=of.moment.now,
        addresses=addresses,
        limit=len(addresses) or _MAILBOXES,
        internal_days=of.internal_days,
    )
    return {row["address"]: _cause(row, of.internal_days) for row in rows}


def _cause(row: Row, internal_days: int) -> _Cause:
    internal = ""
    if row["internal_day"] is not None:
        internal = internal_words(row["address"], row["internal_day"], internal_days)
    return _Cause(row["stop"] or internal or row["held"], row["stop"] or row["held"])


async def _why_none(tx: Transaction, client_id: str, stopped: Mapping[str, _Cause]) -> str:
    """Why no mailbox at all may send, where that is so for the first hundred of them."""
    mailboxes: int = await tx.fetch_value(SQL["count_mailboxes"], client_id=client_id)
    if mailboxes == 0:
        return "the client has no mailbox"
    causes = [each.mail for each in stopped.values() if each.mail]
    if len(causes) < min(mailboxes, _MAILBOXES):
        return ""
    example, most = Counter(causes).most_common(1)[0]
    return f"none of {mailboxes} mailboxes may send, {most} because: {example}"


def _reason(row: Row, causes: Mapping[str, _Cause], why_none: str) -> str:
    mailbox = row["mailbox"]
    if mailbox is None:
        return why_none or "it waits for a slot of one of the client's mailboxes"
    cause = causes[mailbox].of(row) if mailbox in causes else ""
    return cause or f"it waits for a slot of mailbox {mailbox}"


def _why(rows: list[Row], causes: Mapping[str, _Cause], why_none: str) -> str:
    """One cause for all that wait; the same words as long as nothing changes."""
    if why_none:
        return why_none
    held = {
        row["mailbox"]: cause
        for row in rows
        if row["mailbox"] in causes and (cause := causes[row["mailbox"]].of(row))
    }
    if not held:
        return ""
    more = f" (and {len(held) - 1} more mailboxes)" if len(held) > 1 else ""
    return held[min(held)] + more


def internal_words(address: str, day: int, internal_days: int) -> str:
    """Why a mailbox so early in its warm-up, or its egress's, sends no mail of its client. Pure."""
    return (
        f"{address} is on day {day} of a warm-up: to day {internal_days} it writes within the fleet"
    )
