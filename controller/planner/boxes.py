"""What the planner knows of a mailbox, of its slot, and of the messages that wait. Plain data."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from controller.planner.lanes import PLAIN, Lane
from controller.planner.limits import Sender
from controller.planner.windows import Week


@dataclass(frozen=True, slots=True)
class Slot:
    """The state of a mailbox's slot, as stored.

    due_at: when it is to be looked at; None: the slot is to be drawn. slot_at: the last one used.
    held: what kept it from using a due slot, in words; `held_until`: when that ends by itself.
    """

    due_at: datetime | None = None
    slot_at: datetime | None = None
    held: str = ""
    held_since: datetime | None = None
    held_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Box:
    """A mailbox that nothing stops. `seed`: drawn once, for its jitter.

    `health`: its score, above 0 up to 1; of equals the healthier one sends first. `internal`: so
    early in a warm-up that it sends warm-up mail alone.
    """

    sender: Sender
    display_name: str
    week: Week
    seed: int = 0
    slot: Slot = Slot()
    health: float = 1.0
    internal: bool = False

    @property
    def address(self) -> str:
        return self.sender.mailbox


@dataclass(frozen=True, slots=True)
class Waiting:
    """A message that waits. `mailbox` None: the planner chooses.

    `charged`: it was attempted before and came back, so the ledger has it already.
    """

    id: str
    mailbox: str | None
    provider: str
    not_before: datetime
    charged: bool = False
    lane: Lane = PLAIN


class Queues:
    """Waiting messages by mailbox (None: of any), lane and provider, each queue in its order."""

    def __init__(self, messages: Iterable[Waiting]) -> None:
        self._queues: dict[str | None, dict[Lane, dict[str, deque[Waiting]]]] = {}
        for message in sorted(messages, key=lambda m: (m.not_before, m.id)):
            lanes = self._queues.setdefault(message.mailbox, {})
            lanes.setdefault(message.lane, {}).setdefault(message.provider, deque()).append(message)

    def heads(self, box: Box) -> Iterator[tuple[Lane, list[Waiting]]]:
        """By lane the first message of each queue that this mailbox may take from."""
        for owner in (box.address, None):
            for lane, queues in self._queues.get(owner, {}).items():
                if box.internal and not lane.is_internal:
                    continue
                # One that has a mailbox already keeps it, whatever the pool is now.
                if owner is not None or lane.admits(box.sender):
                    heads = [queue[0] for queue in queues.values() if queue]
                    if heads:
                        yield lane, heads

    def remove(self, message: Waiting) -> None:
        """Takes the head of a queue away."""
        self._queues[message.mailbox][message.lane][message.provider].popleft()
