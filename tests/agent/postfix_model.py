"""A model of Postfix that knows what it accepted, for steps that are played one by one."""

from __future__ import annotations

from collections import Counter

from postfleet.v1 import node_pb2

from node_agent.agent.lifecycle import Fact, FactKind
from node_agent.agent.queue_view import QueueView

ENDS = {
    FactKind.SENT: node_pb2.EVENT_KIND_SENT,
    FactKind.BOUNCED: node_pb2.EVENT_KIND_BOUNCED,
    FactKind.EXPIRED: node_pb2.EVENT_KIND_EXPIRED,
    FactKind.UNCERTAIN: node_pb2.EVENT_KIND_UNCERTAIN,
}


class Postfix:
    """What Postfix has, had, and logged: the truth the agent can only look at."""

    def __init__(self) -> None:
        self.accepted: list[str] = []
        self.queue: dict[str, str] = {}
        # Queue id to deferred (or incoming, which is the same here), active, hold.
        self.place: dict[str, str] = {}
        # What qmgr(8) is delivering; a file may be put on hold meanwhile.
        self.delivering: set[str] = set()
        self.log: list[tuple[str | None, str, Fact]] = []
        self.ended: dict[str, FactKind] = {}
        # How often a receiver may have got it.
        self.taken: Counter[str] = Counter()

    def accept(self, token: str) -> str:
        self.accepted.append(token)
        queue_id = f"Q{len(self.accepted)}"
        self.queue[queue_id] = token
        self.place[queue_id] = "deferred"
        return queue_id

    def waiting(self) -> list[str]:
        """Files that qmgr(8) may take up; one that is uncertain is on hold in truth."""
        return [
            q for q, t in self.queue.items() if self.place[q] == "deferred" and t not in self.ended
        ]

    def take_up(self, queue_id: str) -> None:
        """qmgr(8) takes the file up, which it logs."""
        self.place[queue_id] = "active"
        self.delivering.add(queue_id)
        fact = Fact(FactKind.SEEN, 0, queue_id, log_line="active")
        self.log.append((self.queue[queue_id], queue_id, fact))

    def end(self, queue_id: str, kind: FactKind) -> None:
        """The attempt ends."""
        token = self.queue[queue_id]
        self.delivering.discard(queue_id)
        self.log.append((None, queue_id, Fact(kind, 0, queue_id, reason=kind, log_line=kind)))
        if self.place[queue_id] == "active":
            self.place[queue_id] = "deferred"
        if kind in ENDS:
            self.ended[token] = kind
            self.taken[token] += 1
            if kind is not FactKind.UNCERTAIN:
                del self.queue[queue_id], self.place[queue_id]

    def attempt(self, queue_id: str, kind: FactKind) -> None:
        self.take_up(queue_id)
        self.end(queue_id, kind)

    def hold_waiting(self, queue_ids: list[str]) -> None:
        """QUEUE_ACTION_HOLD_WAITING."""
        for queue_id in queue_ids:
            if self.place.get(queue_id) == "deferred":
                self.place[queue_id] = "hold"

    def delete_held(self, queue_ids: list[str]) -> None:
        """QUEUE_ACTION_DELETE_HELD."""
        for queue_id in queue_ids:
            if self.place.get(queue_id) == "hold":
                del self.queue[queue_id], self.place[queue_id]
                self.log.append((None, queue_id, Fact(FactKind.DELETED, 0, queue_id)))

    def unhold(self, queue_ids: list[str]) -> None:
        for queue_id in queue_ids:
            if self.place.get(queue_id) == "hold":
                self.place[queue_id] = "deferred"

    def view(self) -> QueueView:
        held = frozenset(q for q, place in self.place.items() if place == "hold")
        return QueueView(dict(self.queue), held, {})
