"""What is left of every limit, and which one binds. Pure.

budgets = Budgets(caps, used)      used: what the ledger says
budgets.binding(accounts)          the account that admits nothing more, or None
budgets.lines(accounts)            the same as lines to be kept and looked at again and again
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from controller.planner.limits import OF_PROVIDER, Account, Caps, Limit

_TOWARD = {
    Limit.DOMAIN_PROVIDER_DAY: "from domain {0} to {1}",
    Limit.MAILBOX_PROVIDER_DAY: "from mailbox {0} to {1}",
    Limit.EGRESS_PROVIDER_DAY: "through egress {0} to {1}",
    Limit.DOMAIN_PROVIDER_HOUR: "from domain {0} to {1} now",
    Limit.PROVIDER_EGRESS_HOUR: "through egress {1} to {0} now",
}


class Line:
    """An account in the making of a choice. `left`: what it still admits; below 0 where a cap was
    lowered below what is used. Who takes a message of it lowers that by one."""

    __slots__ = ("_left_first", "account", "cap", "left")

    def __init__(self, account: Account, cap: int, used: int) -> None:
        self.account = account
        self.cap = cap
        self.left = self._left_first = cap - used

    @property
    def used(self) -> int:
        """In all."""
        return self.cap - self.left

    @property
    def taken(self) -> int:
        """Since the ledger was read."""
        return self._left_first - self.left


class Budgets:
    """Begins with the ledger's figures."""

    def __init__(self, caps: Caps, used: Mapping[Account, int]) -> None:
        self._caps = caps
        self._used = used
        self._lines: dict[Account, Line] = {}
        self.curved = caps.curved
        """Providers with warm-up curves of their own."""

    def line(self, account: Account) -> Line:
        """The account's, always the same one."""
        line = self._lines.get(account)
        if line is None:
            cap, used = self._caps.cap(account), self._used.get(account, 0)
            line = self._lines[account] = Line(account, cap, used)
        return line

    def lines(self, accounts: Iterable[Account]) -> tuple[Line, ...]:
        """Theirs, in that order."""
        return tuple([self.line(account) for account in accounts])

    def taken(self) -> dict[Account, int]:
        """What was used since the ledger was read, of each account of which something was."""
        return {line.account: line.taken for line in self._lines.values() if line.taken}

    def cap(self, account: Account) -> int:
        """What the account admits in all."""
        return self._caps.cap(account)

    def changes_at(self, account: Account) -> datetime | None:
        """When that changes by itself; None: not that we know."""
        return self._caps.changes_at(account)

    def used(self, account: Account) -> int:
        """What of it is used."""
        line = self._lines.get(account)
        return self._used.get(account, 0) if line is None else line.used

    def left(self, account: Account) -> int:
        """How many messages it still admits; 0 also where a cap was lowered below what is used."""
        return max(0, self.cap(account) - self.used(account))

    def binding(self, accounts: Iterable[Account]) -> Account | None:
        """The account that admits nothing more; of several the one that will the latest."""
        line = binding(self.lines(accounts))
        return None if line is None else line.account

    def tightest(self, accounts: Iterable[Account]) -> Account:
        """The account that admits the fewest messages."""
        return min(accounts, key=lambda account: (self.left(account), account.is_hour))

    def words(self, account: Account) -> str:
        """Why nothing more goes, in words."""
        if self.cap(account) == 0 and account.limit in _TOWARD:
            return (
                f"cap: nothing may go {_TOWARD[account.limit].format(*account.subject.split('/'))}"
            )
        unit = "hour" if account.is_hour else "day"
        used = f"has used its {self.cap(account):,} messages of the {unit}"
        first, _, second = account.subject.partition("/")
        match account.limit:
            case Limit.PROVIDER_EGRESS_HOUR:
                return f"cap: egress {second} {used} to {first}"
            case limit if limit in OF_PROVIDER:
                return f"cap: {limit.partition(' ')[0]} {first} {used} to {second}"
            case limit:
                return f"cap: {limit.partition(' ')[0]} {first} {used}"


def binding(lines: Iterable[Line]) -> Line | None:
    """The line that admits nothing more; of several the one that will the latest."""
    spent = None
    for line in lines:
        if line.left <= 0 and (spent is None or spent.account.is_hour > line.account.is_hour):
            spent = line
    return spent
