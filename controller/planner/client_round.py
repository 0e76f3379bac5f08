"""One client's turn in a planner cycle: a batch of its messages, in one transaction.

The client's row is locked, so that two planners never work on the same client; clients share no
mailbox and no egress. Reads as many messages as can be assigned, however many wait.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from controller.from_field import from_line
from controller.planner import ledger
from controller.planner.allowance import Allowances, Caps, Mailbox
from controller.planner.choice import Assignment, Choice, Waiting, choose
from controller.store import Row, Transaction, queries

SQL = queries.load("planner")

# How many messages get their reason in a round, and how many at the head of each queue have a
# reason that has changed corrected.
_EXPLAINED = 250
_HEAD = 5


@dataclass(frozen=True, slots=True)
class Moment:
    """When it is: messages with not_before <= `due` are planned, at the charge of `day`."""

    now: datetime
    due: datetime
    day: date


@dataclass(frozen=True, slots=True)
class Round:
    """What came of it. `why` binds what was left; `more`: a further round would assign more."""

    assigned: int
    why: str = ""
    more: bool = False
    taken_by_other: bool = False


async def plan_client(
    tx: Transaction, client_id: str, moment: Moment, caps: Caps, batch: int
) -> Round:
    """Assigns at most `batch` messages of a client. Raises TransactionConflict: do it again."""
    client = await tx.fetch_optional(SQL["lock_client"], id=client_id)
    if client is None:
        return Round(0, taken_by_other=True)
    rows = await tx.fetch_all(SQL["mailboxes"], client_id=client_id, day=moment.day, now=moment.now)
    allowances = Allowances.of((Mailbox(**row) for row in rows), caps)
    waiting = await _due(tx, client_id, moment, allowances, batch)
    choice = choose(waiting, allowances, client["planner_cursor"])
    scheduled = await _write(tx, client_id, choice, allowances, moment, caps)
    why = await _explain(tx, client_id, moment, allowances)
    return Round(scheduled, why, more=len(waiting) >= batch)


async def _due(
    tx: Transaction, client_id: str, moment: Moment, allowances: Allowances, batch: int
) -> list[Waiting]:
    rooms = {a: min(batch, n) for a in allowances.mailboxes if (n := allowances.left(a)) > 0}
    total = min(batch, allowances.total())
    if total <= 0:
        return []
    rows = await tx.fetch_all(
        SQL["due_of_mailboxes"],
        client_id=client_id,
        addresses=list(rooms),
        rooms=list(rooms.values()),
        due=moment.due,
        limit=batch,
    )
    rows += await tx.fetch_all(
        SQL["due_without_mailbox"], client_id=client_id, due=moment.due, limit=total
    )
    rows.sort(key=lambda row: (row["not_before"], row["id"]))
    return [Waiting(row["id"], row["mailbox"]) for row in rows[:batch]]


async def _write(
    tx: Transaction,
    client_id: str,
    choice: Choice,
    allowances: Allowances,
    moment: Moment,
    caps: Caps,
) -> int:
    if not choice.assignments:
        return 0
    rows = await tx.fetch_all(
        SQL["schedule"],
        day=moment.day,
        ids=[a.message_id for a in choice.assignments],
        mailboxes=[a.mailbox for a in choice.assignments],
        egress_ids=[a.egress_id for a in choice.assignments],
    )
    # Who was cancelled since it was read is not charged.
    ids = {row["id"] for row in rows}
    written = [a for a in choice.assignments if a.message_id in ids]
    await ledger.charge(tx, moment.day, written, caps)
    await _add_from([a for a in written if a.chosen], tx, allowances)
    await tx.execute(SQL["set_cursor"], id=client_id, cursor=choice.cursor)
    return len(written)


async def _add_from(chosen: Sequence[Assignment], tx: Transaction, allowances: Allowances) -> None:
    lines = [from_line(allowances.mailboxes[a.mailbox].display_name, a.mailbox) for a in chosen]
    if chosen:
        await tx.execute(SQL["add_from"], ids=[a.message_id for a in chosen], lines=lines)


async def _explain(tx: Transaction, client_id: str, moment: Moment, allowances: Allowances) -> str:
    """Writes into waiting messages why they wait; gives the first cause, or ''."""
    none_left = allowances.total() <= 0
    blocked = [a for a in allowances.mailboxes if allowances.left(a) <= 0]
    rows = await tx.fetch_all(
        SQL["unexplained"], client_id=client_id, due=moment.due, limit=_EXPLAINED
    )
    rows += await tx.fetch_all(
        SQL["heads"], client_id=client_id, addresses=blocked, due=moment.due, limit=_HEAD
    )
    if none_left:
        rows += await tx.fetch_all(
            SQL["head_without_mailbox"], client_id=client_id, due=moment.due, limit=_HEAD
        )
    why_none = allowances.why_none() if none_left else ""
    reasons = {row["id"]: _reason(row, allowances, why_none) for row in rows}
    changed = {
        row["id"]: reasons[row["id"]]
        for row in rows
        if reasons[row["id"]] and reasons[row["id"]] != row.get("reason", "")
    }
    if changed:
        await tx.execute(SQL["explain"], ids=list(changed), reasons=list(changed.values()))
    return _why([row["mailbox"] for row in rows if reasons[row["id"]]], allowances, why_none)


def _why(waiting: Sequence[str | None], allowances: Allowances, why_none: str) -> str:
    """One cause for all that wait; the same words as long as nothing changes."""
    mailboxes = sorted({mailbox for mailbox in waiting if mailbox is not None})
    if why_none or not mailboxes:
        return why_none if waiting else ""
    more = f" (and {len(mailboxes) - 1} more mailboxes)" if len(mailboxes) > 1 else ""
    return allowances.why_not(mailboxes[0]) + more


def _reason(row: Row, allowances: Allowances, why_none: str) -> str:
    if row["mailbox"] is None:
        return why_none
    return "" if allowances.left(row["mailbox"]) > 0 else allowances.why_not(row["mailbox"])
