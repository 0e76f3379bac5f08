"""What is left of every limit, and which one binds. Pure.

budgets = Budgets(caps, used)      used: what the ledger says
budgets.binding(accounts)          the account that admits nothing more, or None
budgets.take(accounts)             uses one message of each
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from controller.planner.limits import Account, Caps, Limit

_TOWARD = {
    Limit.DOMAIN_PROVIDER_DAY: "from domain {0} to {1}",
    Limit.DOMAIN_PROVIDER_HOUR: "from domain {0} to {1} now",
    Limit.PROVIDER_EGRESS_HOUR: "through egress {1} to {0} now",
}


class Budgets:
    """Begins with the ledger's figures; `taken` is what was used since, by account."""

    def __init__(self, caps: Caps, used: Mapping[Account, int]) -> None:
        self._caps = caps
        self._used = used
        self.taken: dict[Account, int] = {}

    def cap(self, account: Account) -> int:
        """What the account admits in all."""
        return self._caps.cap(account)

    def changes_at(self, account: Account) -> datetime | None:
        """When that changes by itself; None: not that we know."""
        return self._caps.changes_at(account)

    def used(self, account: Account) -> int:
        """What of it is used."""
        return self._used.get(account, 0) + self.taken.get(account, 0)

    def left(self, account: Account) -> int:
        """How many messages it still admits; 0 also where a cap was lowered below what is used."""
        return max(0, self.cap(account) - self.used(account))

    def binding(self, accounts: Iterable[Account]) -> Account | None:
        """The account that admits nothing more; of several the one that will the latest."""
        spent = [account for account in accounts if self.left(account) <= 0]
        return min(spent, key=lambda account: account.is_hour) if spent else None

    def tightest(self, accounts: Iterable[Account]) -> Account:
        """The account that admits the fewest messages."""
        return min(accounts, key=lambda account: (self.left(account), account.is_hour))

    def take(self, accounts: Iterable[Account]) -> None:
        """Uses one message of each."""
        for account in accounts:
            self.taken[account] = self.taken.get(account, 0) + 1

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
            case Limit.DOMAIN_PROVIDER_DAY | Limit.DOMAIN_PROVIDER_HOUR:
                return f"cap: domain {first} {used} to {second}"
            case limit:
                return f"cap: {limit.partition(' ')[0]} {first} {used}"
