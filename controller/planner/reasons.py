"""Why do messages wait? Writes it into them, for lists; `postfleet why` answers in full.

A message that waits only for its mailbox's next slot says so once; that does not change with every
slot. What a limit or a stop holds up says which one, and is corrected at the head of the queue.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from controller.planner.choice import Moment
from controller.store import Row, Transaction, queries

SQL = queries.load("planner")

# How many messages get their reason in a round, how many at the head of a queue have one that has
# changed corrected, and for how many mailboxes.
_EXPLAINED = 250
_HEAD = 5
_MAILBOXES = 100


@dataclass(frozen=True, slots=True)
class Reasons:
    """Whose messages. `lanes`: those that are open. `idle`: the round assigned nothing."""

    client_id: str
    moment: Moment
    lanes: Sequence[int]
    idle: bool


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


async def _stopped(tx: Transaction, of: Reasons, addresses: list[str]) -> dict[str, str]:
    rows = await tx.fetch_all(
        SQL["stopped"],
        client_id=of.client_id,
        now=of.moment.now,
        addresses=addresses,
        limit=len(addresses) or _MAILBOXES,
    )
    return {row["address"]: row["why"] for row in rows}


async def _why_none(tx: Transaction, client_id: str, stopped: Mapping[str, str]) -> str:
    """Why no mailbox at all may send, where that is so for the first hundred of them."""
    mailboxes: int = await tx.fetch_value(SQL["count_mailboxes"], client_id=client_id)
    if mailboxes == 0:
        return "the client has no mailbox"
    if len(stopped) < min(mailboxes, _MAILBOXES):
        return ""
    example, most = Counter(stopped.values()).most_common(1)[0]
    return f"none of {mailboxes} mailboxes may send, {most} because: {example}"


def _reason(row: Row, causes: Mapping[str, str], why_none: str) -> str:
    mailbox = row["mailbox"]
    if mailbox is None:
        return why_none or "it waits for a slot of one of the client's mailboxes"
    return causes.get(mailbox) or f"it waits for a slot of mailbox {mailbox}"


def _why(rows: list[Row], causes: Mapping[str, str], why_none: str) -> str:
    """One cause for all that wait; the same words as long as nothing changes."""
    if why_none:
        return why_none
    held = sorted({row["mailbox"] for row in rows} & set(causes))
    if not held:
        return ""
    more = f" (and {len(held) - 1} more mailboxes)" if len(held) > 1 else ""
    return causes[held[0]] + more
