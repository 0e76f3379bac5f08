"""What waits in a simulation: the campaigns' messages in heaps of equal ones, for the planner.

A campaign of 100,000 is a handful of heaps: so many messages of one step to one provider. Messages
that name a mailbox (follow-ups, and what was planned and could not go) have heaps of their own.

Recipients at several providers stand in no order in a list, so heaps of the same age are taken from
in proportion, not one after the other. The planner orders equals by their ids: a heap's rises with
what was taken of it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from controller.planner.boxes import Box, Queues, Waiting, by_age
from controller.planner.lanes import Lane


@dataclass(frozen=True, slots=True)
class Letter(Waiting):
    """One of `campaign` (its number in the simulation, -1: of none); `step` 0 is the first message,
    1 the first follow-up."""

    campaign: int = 0
    step: int = 0


# Of a heap so many are taken one at a time, and from then on so many until another one of the same
# age may come before it.
_SINGLY, _AT_ONCE = 20, 32


class _Heap:
    """`letter`: as the planner sees the next one; `given`: as it was added."""

    __slots__ = ("given", "left", "letter", "taken")

    def __init__(self, letter: Letter, left: int) -> None:
        self.given, self.left, self.taken = letter, left, 0
        self.fall_in()

    def fall_in(self) -> None:
        """Behind those of the same age of which less was taken."""
        share = self.taken / (self.taken + self.left)
        self.letter = replace(self.given, id=f"{share:.6f}/{self.given.id}")


_Lines = dict[str, deque[_Heap]]


class Mail(Queues):
    """One client's. `add` in the order of `not_before`."""

    def __init__(self) -> None:
        super().__init__(())
        self._any: dict[Lane, _Lines] = {}
        self._own: dict[str, dict[Lane, _Lines]] = {}
        # What `heads` gives of `_any`, until it changes.
        self._heads: list[tuple[Lane, Sequence[Waiting]]] | None = None
        self._has_pools = False
        self.waiting = 0
        """Messages in all."""

    def add(self, letter: Letter, count: int) -> None:
        """So many equal messages, behind all others of their lane and provider."""
        lanes = self._any if letter.mailbox is None else self._own.setdefault(letter.mailbox, {})
        line = lanes.setdefault(letter.lane, {}).setdefault(letter.provider, deque())
        if line and line[-1].given == letter:
            line[-1].left += count
        else:
            line.append(_Heap(letter, count))
        self.waiting += count
        if letter.mailbox is None:
            self._heads = None

    @property
    def is_for_any(self) -> bool:
        """Whether something waits for which the planner chooses the mailbox."""
        return bool(self._any)

    def owners(self) -> set[str]:
        """Mailboxes that messages name."""
        return set(self._own)

    def heads(self, box: Box) -> Iterable[tuple[Lane, Sequence[Waiting]]]:
        """As the planner's queues give them."""
        if self._heads is None:
            self._heads = [(lane, _heads(lines)) for lane, lines in self._any.items()]
            self._has_pools = any(lane.has_pool for lane, _ in self._heads)
        shared = self._heads
        if self._has_pools:
            shared = [each for each in shared if each[0].admits(box.sender)]
        own = self._own.get(box.address)
        found = shared if own is None else [*((each, _heads(own[each])) for each in own), *shared]
        return [each for each in found if each[0].is_internal] if box.internal else found

    def lanes_waiting(self, campaign: int) -> set[Lane]:
        """The lanes in which mail of this campaign waits."""
        return {
            lane
            for lanes in (self._any, *self._own.values())
            for lane, lines in lanes.items()
            if any(line[0].letter.campaign == campaign for line in lines.values())
        }

    def drop(self, lane: Lane) -> None:
        """All that names a mailbox and waits in this lane."""
        for owner, lanes in list(self._own.items()):
            lines = lanes.pop(lane, {})
            self.waiting -= sum(heap.left for line in lines.values() for heap in line)
            if not lanes:
                del self._own[owner]

    def remove(self, message: Waiting) -> None:
        """One of the heap that the message stands for."""
        owner, lane, provider = message.mailbox, message.lane, message.provider
        lanes = self._any if owner is None else self._own[owner]
        line = lanes[lane][provider]
        heap = line[0]
        heap.left -= 1
        heap.taken += 1
        self.waiting -= 1
        if heap.left:
            if owner is None and (heap.taken < _SINGLY or heap.taken % _AT_ONCE == 0):
                heap.fall_in()
                self._put_in_order(lane)
            return
        line.popleft()
        if owner is None:
            self._heads = None
        if line:
            return
        del lanes[lane][provider]
        if not lanes[lane]:
            del lanes[lane]
        if owner is not None and not lanes:
            del self._own[owner]

    def _put_in_order(self, lane: Lane) -> None:
        """After the letter of a heap changed."""
        for place, (each, _) in enumerate(self._heads or ()):
            if each is lane and self._heads is not None:
                self._heads[place] = lane, _heads(self._any[lane])


def _heads(lines: _Lines) -> Sequence[Waiting]:
    return sorted((line[0].letter for line in lines.values()), key=by_age)
