"""The ledger: how much of each cap is used, per mailbox and egress and day.

It is written in the transaction that changes the messages, so that no crash makes the two differ.
The cap is checked by the statement that charges, whatever the planner believed: two planners, or a
planner and a clock that stepped, cannot pass it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import date

from controller.planner.allowance import Caps
from controller.planner.choice import Assignment
from controller.store import Transaction, queries
from controller.store.errors import TransactionConflict

SQL = queries.load("ledger")


async def charge(tx: Transaction, day: date, assignments: Iterable[Assignment], caps: Caps) -> None:
    """Charges each assignment to its mailbox and its egress.

    Raises TransactionConflict where a cap would be passed: somebody else charged meanwhile.
    """
    counts: Counter[tuple[str, str]] = Counter()
    for assignment in assignments:
        counts["egress", assignment.egress_id] += 1
        counts["mailbox", assignment.mailbox] += 1
    charges = sorted(counts.items())
    by_scope = {"egress": caps.egress, "mailbox": caps.mailbox}
    charged = await tx.fetch_value(
        SQL["charge"],
        day=day,
        scopes=[scope for (scope, _), _ in charges],
        subjects=[subject for (_, subject), _ in charges],
        counts=[count for _, count in charges],
        caps=[by_scope[scope] for (scope, _), _ in charges],
    )
    if charged != len(charges):
        raise TransactionConflict(
            f"{len(charges) - charged} of {len(charges)} caps were used up by another planner"
        )


async def refund(tx: Transaction, message_ids: Sequence[str]) -> int:
    """Gives back what these messages took, exactly once each; how many gave something back.

    For messages that no receiver was ever asked to take. To be called before `mailbox` or
    `egress_id` of a message changes, in the same transaction; repeating it changes nothing.
    """
    refunded: int = await tx.fetch_value(SQL["refund"], ids=list(message_ids))
    return refunded
