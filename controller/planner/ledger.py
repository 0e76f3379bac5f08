"""The ledger: how much of each limit is used, per subject and day or hour.

It is written in the transaction that changes the messages, so that no crash makes the two differ.
What the charge makes of an account is compared with its cap in the same transaction, whatever the
planner believed: two planners, or a planner and a clock that stepped, cannot pass it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from controller.planner.assignment import Assignment
from controller.planner.budgets import Budgets
from controller.planner.limits import SCOPES, Account, Limit
from controller.store import Row, Transaction, queries
from controller.store.errors import TransactionConflict

SQL = queries.load("ledger")
_LIMITS = {(SCOPES[limit], limit.endswith("hour")): limit for limit in Limit}
_KEPT_HOURS = timedelta(hours=50)
_KEPT_DAYS = timedelta(days=100)


async def used(tx: Transaction, accounts: Iterable[Account]) -> dict[Account, int]:
    """What is used of these accounts; those of which nothing is are left out."""
    days, hours = _sorted(set(accounts))
    rows = await tx.fetch_all(SQL["used_days"], **_columns(days)) if days else []
    rows += await tx.fetch_all(SQL["used_hours"], **_columns(hours)) if hours else []
    return {_account(row): row["used"] for row in rows}


async def charge(tx: Transaction, assignments: Iterable[Assignment], budgets: Budgets) -> None:
    """Charges each assignment to its accounts.

    Raises TransactionConflict where a cap would be passed: somebody else charged meanwhile.
    """
    counts = Counter(account for each in assignments for account in each.accounts())
    days, hours = _sorted(counts)
    rows: list[Row] = []
    for name, accounts in (("charge_days", days), ("charge_hours", hours)):
        if accounts:
            columns = _columns(accounts) | {"counts": [counts[each] for each in accounts]}
            rows += await tx.fetch_all(SQL[name], **columns)
    passed = [row for row in rows if row["used"] > budgets.cap(_account(row))]
    if passed:
        raise TransactionConflict(
            f"{len(passed)} of {len(rows)} caps were used up by another planner"
        )


async def refund(tx: Transaction, message_ids: Sequence[str]) -> int:
    """Gives back what these messages took, exactly once each; how many gave something back.

    For messages that no receiver was ever asked to take: one with an attempt keeps its charge. To
    be called before `mailbox` or `egress_id` of a message changes, in the same transaction;
    repeating it changes nothing.
    """
    refunded: int = await tx.fetch_value(SQL["refund"], ids=list(message_ids))
    return refunded


async def forget(tx: Transaction, now: datetime) -> int:
    """Removes what is too old to bind anything; how many lines."""
    hours = await tx.execute(SQL["forget_hours"], before=now - _KEPT_HOURS)
    return hours + await tx.execute(SQL["forget_days"], before=(now - _KEPT_DAYS).date())


def _sorted(accounts: Iterable[Account]) -> tuple[list[Account], list[Account]]:
    """Days and hours, in the order in which they are locked."""
    ordered = sorted(accounts, key=lambda a: (SCOPES[a.limit], a.subject, str(a.bucket)))
    return [a for a in ordered if not a.is_hour], [a for a in ordered if a.is_hour]


def _columns(accounts: Sequence[Account]) -> dict[str, list[Any]]:
    return {
        "scopes": [SCOPES[account.limit] for account in accounts],
        "subjects": [account.subject for account in accounts],
        "buckets": [account.bucket for account in accounts],
    }


def _account(row: Mapping[str, Any]) -> Account:
    is_hour = isinstance(row["bucket"], datetime)
    return Account(_LIMITS[row["scope"], is_hour], row["subject"], row["bucket"])
