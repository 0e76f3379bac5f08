"""Which mailbox sends which message? Pure.

Messages are taken in their order. One that names its mailbox gets that one or waits; the others
get the client's mailboxes in turn, in the order of their addresses, beginning behind the cursor
(the mailbox chosen last), skipping those with nothing left.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from controller.planner.allowance import Allowances


@dataclass(frozen=True, slots=True)
class Waiting:
    """A message without a time to wait for. `mailbox` None: the planner chooses."""

    id: str
    mailbox: str | None


@dataclass(frozen=True, slots=True)
class Assignment:
    """`chosen`: by the planner, so that From is to be added."""

    message_id: str
    mailbox: str
    egress_id: str
    chosen: bool


@dataclass(frozen=True, slots=True)
class Choice:
    """What became of the messages. `left_over` are those that wait on, in order."""

    assignments: tuple[Assignment, ...]
    left_over: tuple[Waiting, ...]
    cursor: str


def choose(waiting: Sequence[Waiting], allowances: Allowances, cursor: str) -> Choice:
    """Assigns what the allowances admit, using them up."""
    turn = _Turn(allowances, cursor)
    assignments, left_over = [], []
    for message in waiting:
        mailbox = message.mailbox
        if mailbox is None:
            mailbox = turn.next()
        elif allowances.left(mailbox) <= 0:
            mailbox = None
        if mailbox is None:
            left_over.append(message)
            continue
        allowances.take(mailbox)
        egress_id = allowances.mailboxes[mailbox].egress_id
        assignments.append(Assignment(message.id, mailbox, egress_id, message.mailbox is None))
    return Choice(tuple(assignments), tuple(left_over), turn.cursor)


class _Turn:
    """Goes round the mailboxes that have something left. A mailbox that runs out drops out."""

    def __init__(self, allowances: Allowances, cursor: str) -> None:
        self._allowances = allowances
        self._ring = sorted(a for a in allowances.mailboxes if allowances.left(a) > 0)
        self._position = bisect_right(self._ring, cursor)
        self.cursor = cursor

    def next(self) -> str | None:
        while self._ring:
            self._position %= len(self._ring)
            address = self._ring[self._position]
            if self._allowances.left(address) > 0:
                self._position += 1
                self.cursor = address
                return address
            del self._ring[self._position]
        return None
