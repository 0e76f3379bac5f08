"""How much may a mailbox still send today, and what stops it from sending more? Pure.

A mailbox may send what is left of its own cap and of its egress's, and nothing while it, its
domain, its egress or its client is suspended or not active.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mailbox:
    """A mailbox and what is known of its day. `stopped`: why nothing may leave it; '' if nothing.

    `used` and `egress_used` count messages charged today.
    """

    address: str
    display_name: str
    egress_id: str
    stopped: str
    used: int
    egress_used: int


@dataclass(frozen=True, slots=True)
class Caps:
    """Messages a day."""

    mailbox: int
    egress: int


@dataclass(slots=True)
class Allowances:
    """What is left, by mailbox and egress; `take` uses one of both."""

    mailboxes: Mapping[str, Mailbox]
    caps: Caps
    mailbox_left: dict[str, int]
    egress_left: dict[str, int]

    @classmethod
    def of(cls, mailboxes: Iterable[Mailbox], caps: Caps) -> Allowances:
        """The allowances at the moment the mailboxes were read."""
        known = {mailbox.address: mailbox for mailbox in mailboxes}
        return cls(
            known,
            caps,
            {a: 0 if m.stopped else max(0, caps.mailbox - m.used) for a, m in known.items()},
            {m.egress_id: max(0, caps.egress - m.egress_used) for m in known.values()},
        )

    def left(self, address: str) -> int:
        """How many messages this mailbox may still get; 0 for one that is not known."""
        mailbox = self.mailboxes.get(address)
        if mailbox is None:
            return 0
        return min(self.mailbox_left[address], self.egress_left[mailbox.egress_id])

    def total(self) -> int:
        """How many messages all mailboxes together may still get."""
        per_egress: dict[str, int] = {}
        for address, mailbox in self.mailboxes.items():
            more = per_egress.get(mailbox.egress_id, 0) + self.mailbox_left[address]
            per_egress[mailbox.egress_id] = more
        return sum(min(left, self.egress_left[e]) for e, left in per_egress.items())

    def take(self, address: str) -> None:
        """Uses one message of the mailbox and of its egress."""
        self.mailbox_left[address] -= 1
        self.egress_left[self.mailboxes[address].egress_id] -= 1

    def why_not(self, address: str) -> str:
        """What binds a mailbox of which nothing is left."""
        mailbox = self.mailboxes.get(address)
        if mailbox is None:
            return f"mailbox {address} is no longer in the inventory"
        if mailbox.stopped:
            return mailbox.stopped
        if self.mailbox_left[address] <= 0:
            return f"cap: mailbox {address} has used its {self.caps.mailbox:,} messages of the day"
        if self.egress_left[mailbox.egress_id] <= 0:
            return (
                f"cap: egress {mailbox.egress_id} has used its {self.caps.egress:,} messages "
                "of the day"
            )
        return ""

    def why_none(self) -> str:
        """Why no mailbox at all may send: how many for which cause."""
        if not self.mailboxes:
            return "the client has no mailbox"
        stopped = mailbox_cap = egress_cap = 0
        example = ""
        for address, mailbox in self.mailboxes.items():
            if mailbox.stopped:
                stopped += 1
                example = example or mailbox.stopped
            elif self.mailbox_left[address] <= 0:
                mailbox_cap += 1
            else:
                egress_cap += 1
        causes = []
        if mailbox_cap:
            causes.append(f"{mailbox_cap} have used their {self.caps.mailbox:,} of the day")
        if egress_cap:
            causes.append(f"{egress_cap} are on an egress that used its {self.caps.egress:,}")
        if stopped:
            causes.append(f"{stopped} are stopped ({example})")
        kind = "cap: " if mailbox_cap or egress_cap else ""
        return f"{kind}none of {len(self.mailboxes)} mailboxes may send: {', '.join(causes)}"
