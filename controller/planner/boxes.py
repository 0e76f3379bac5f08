"""What the planner knows of a mailbox, of its slot, and of the messages that wait. Plain data."""

from __future__ import annotations

from bisect import insort
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from controller.planner.lanes import PLAIN, Lane
from controller.planner.limits import Sender
from controller.planner.windows import Week


class Slot(NamedTuple):
    """The state of a mailbox's slot, as stored.

    due_at: when it is to be looked at; None: the slot is to be drawn. slot_at: the last one used.
    held: what kept it from using a due slot, in words; `held_until`: when that ends by itself.
    """

    due_at: datetime | None = None
    slot_at: datetime | None = None
    held: str = ""
    held_since: datetime | None = None
    held_until: datetime | None = None


# One that nobody chose any more could never show that it is better.
_LEAST_HEALTH = 0.05


def health_of(score: float) -> float:
    """What a mailbox's score (0 to 100) makes of `Box.health`."""
    return max(_LEAST_HEALTH, score / 100)


class Box(NamedTuple):
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


def by_age(message: Waiting) -> tuple[datetime, str]:
    """Messages of a lane go in this order."""
    return message.not_before, message.id


class _Queue:
    """What waits in one lane: by provider, and the first of each, in order."""

    __slots__ = ("heads", "providers")

    def __init__(self) -> None:
        self.providers: dict[str, deque[Waiting]] = {}
        self.heads: list[Waiting] = []

    def append(self, message: Waiting) -> None:
        """In their order."""
        queue = self.providers.get(message.provider)
        if queue is None:
            queue = self.providers[message.provider] = deque()
            self.heads.append(message)
        queue.append(message)

    def remove(self, head: Waiting) -> None:
        queue = self.providers[head.provider]
        queue.popleft()
        self.heads.remove(head)
        if queue:
            insort(self.heads, queue[0], key=by_age)


class Queues:
    """Waiting messages by mailbox (None: of any), lane and provider, each queue in its order."""

    def __init__(self, messages: Iterable[Waiting]) -> None:
        self._queues: dict[str | None, dict[Lane, _Queue]] = {}
        for message in sorted(messages, key=by_age):
            lanes = self._queues.setdefault(message.mailbox, {})
            queue = lanes.get(message.lane)
            if queue is None:
                queue = lanes[message.lane] = _Queue()
            queue.append(message)

    def heads(self, box: Box) -> Iterable[tuple[Lane, Sequence[Waiting]]]:
        """By lane the first message to each provider that this mailbox may take, in their order."""
        for owner in (box.address, None):
            for lane, queue in self._queues.get(owner, {}).items():
                if box.internal and not lane.is_internal:
                    continue
                # One that has a mailbox already keeps it, whatever the pool is now.
                if queue.heads and (owner is not None or lane.admits(box.sender)):
                    yield lane, queue.heads

    def remove(self, message: Waiting) -> None:
        """Takes one of the heads away."""
        self._queues[message.mailbox][message.lane].remove(message)
