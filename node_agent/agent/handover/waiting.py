"""What waits for its time: an index in memory over the spool's stored messages. Pure.

Grouped by mailbox and egress, because that is what leases and suspensions open and close; within a
group by due time. Groups take turns, so a mailbox with much mail does not keep the others waiting.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass

Group = tuple[str, str, int]


@dataclass(frozen=True, slots=True)
class Waiting:
    """A stored message, without its content. `due_ms`: by the controller's clock."""

    id: str
    mailbox: str
    egress_id: str
    epoch: int
    due_ms: int


class WaitingRoom:
    """Messages by (mailbox, egress, epoch), each group ordered by due time."""

    def __init__(self) -> None:
        self._groups: dict[Group, list[tuple[int, str]]] = {}
        self._where: dict[str, Group] = {}
        self._turn = 0

    def __len__(self) -> int:
        return len(self._where)

    def __contains__(self, message_id: str) -> bool:
        return message_id in self._where

    def add(self, message: Waiting) -> None:
        """Let a message wait; one that waits already keeps its place."""
        if message.id in self._where:
            return
        group = (message.mailbox, message.egress_id, message.epoch)
        self._where[message.id] = group
        heapq.heappush(self._groups.setdefault(group, []), (message.due_ms, message.id))

    def discard(self, message_id: str) -> None:
        """It waits no more (its place is cleared when its turn comes)."""
        self._where.pop(message_id, None)

    def take(
        self, now_ms: int, is_open: Callable[[str, str, int], bool], most: int
    ) -> list[Waiting]:
        """Take out up to `most` due messages of open groups, the groups taking turns.

        `is_open(mailbox, egress_id, epoch)`.
        """
        groups = list(self._groups)
        self._turn = (self._turn + 1) % max(len(groups), 1)
        turn = [g for g in groups[self._turn :] + groups[: self._turn] if is_open(*g)]
        taken: list[Waiting] = []
        while turn and len(taken) < most:
            still = []
            for group in turn:
                if len(taken) == most:
                    break
                message = self._pop_due(group, now_ms)
                if message is not None:
                    taken.append(message)
                    still.append(group)
            turn = still
        return taken

    def next_due_ms(self, is_open: Callable[[str, str, int], bool]) -> int | None:
        """When the next message of an open group is due; None: none waits."""
        heads = [self._groups[g][0][0] for g in list(self._groups) if self._head(g) and is_open(*g)]
        return min(heads, default=None)

    def ids(self, chosen: Callable[[str, str, int], bool]) -> list[str]:
        """Ids of all messages whose group is `chosen`."""
        return [i for i, group in self._where.items() if chosen(*group)]

    def groups(self) -> Iterator[tuple[Group, int]]:
        """Each group with how many wait in it (some may be gone already)."""
        for group, heap in self._groups.items():
            yield group, len(heap)

    def _head(self, group: Group) -> bool:
        """Drop what waits no more from the head; False (and the group gone) where none is left."""
        heap = self._groups[group]
        while heap and self._where.get(heap[0][1]) != group:
            heapq.heappop(heap)
        if not heap:
            del self._groups[group]
        return bool(heap)

    def _pop_due(self, group: Group, now_ms: int) -> Waiting | None:
        if group not in self._groups or not self._head(group):
            return None
        heap = self._groups[group]
        if heap[0][0] > now_ms:
            return None
        due_ms, message_id = heapq.heappop(heap)
        del self._where[message_id]
        mailbox, egress_id, epoch = group
        return Waiting(message_id, mailbox, egress_id, epoch, due_ms)
