"""Postfix as the simulation has it: a queue, a log, deliveries; and the guard, which holds what may
have been in delivery when Postfix ended.

Each method is one rename or one line of the log. What waits is in one place here: `incoming`,
`active` and `deferred` are told apart by nothing but whether a delivery is under way.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from node_agent.agent.lifecycle import Entry, Fact, FactKind
from node_agent.agent.queue_view import QueueView
from tests.whole.bugs import Bug


@dataclass
class QueueFile:
    token: str
    egress: str
    held: bool = False
    # How long the log was when an attempt ended without anybody knowing how; 0: none did.
    uncertain_at: int = 0


@dataclass
class Postfix:
    """Queue id to file, the log, queue id to egress of what is being delivered, and the guard's
    reports: queue id to reason."""

    bug: Bug
    queue: dict[str, QueueFile] = field(default_factory=dict)
    log: list[Entry] = field(default_factory=list)
    delivering: dict[str, str] = field(default_factory=dict)
    reports: dict[str, str] = field(default_factory=dict)
    _open: dict[str, str] = field(default_factory=dict)

    def token(self, queue_id: str) -> str:
        """Whose file it is; smtp(8) has it open, also when it is deleted."""
        file = self.queue.get(queue_id)
        return file.token if file else self._open[queue_id]

    def look(self) -> QueueView:
        """postqueue -j."""
        held = frozenset(queue_id for queue_id, file in self.queue.items() if file.held)
        return QueueView({q: f.token for q, f in self.queue.items()}, held, {})

    def says(
        self, kind: FactKind, queue_id: str, token: str | None = None, stage: str = ""
    ) -> None:
        fact = Fact(kind, 0, queue_id=queue_id, gateway_stage=stage, log_line=str(kind))
        self.log.append(Entry(token, queue_id, fact))

    # Deliveries.

    def begin_delivery(self, queue_id: str) -> None:
        file = self.queue[queue_id]
        self.delivering[queue_id], self._open[queue_id] = file.egress, file.token

    def end_delivery(self, queue_id: str, kind: FactKind) -> None:
        """An attempt ended so, and the log says it."""
        del self.delivering[queue_id]
        self.says(kind, queue_id)
        if kind in (FactKind.SENT, FactKind.BOUNCED):
            self.queue.pop(queue_id, None)
        elif kind is FactKind.UNCERTAIN and queue_id in self.queue:
            self.queue[queue_id].uncertain_at = len(self.log)

    def end(self, others_too: Iterable[str]) -> None:
        """All of it ends at once, without a word. The guard holds what was being delivered, and of
        the same egresses what it cannot tell from that (`others_too`)."""
        egresses = set(self.delivering.values())
        at_risk = {q for q in others_too if q in self.queue and self.queue[q].egress in egresses}
        for queue_id in at_risk | self.delivering.keys():
            if self.bug is not Bug.GUARD_FORGOTTEN and queue_id in self.queue:
                self.queue[queue_id].held = True
                self.reports[queue_id] = "a connection was open: maybe sent"
        self.delivering.clear()

    def guarded(self) -> set[str]:
        """Whose files the guard holds."""
        return {self.queue[queue_id].token for queue_id in self.reports if queue_id in self.queue}

    # What postfleet-apply does when the agent asks.

    def hold(self, queue_ids: Iterable[str]) -> None:
        """Whatever they are doing."""
        for queue_id in queue_ids:
            if queue_id in self.queue:
                self.queue[queue_id].held = True

    def hold_waiting(self, queue_ids: Iterable[str]) -> None:
        """Those that nobody delivers."""
        self.hold(
            queue_id
            for queue_id in queue_ids
            if queue_id not in self.delivering or self.bug is Bug.RECALLED_IN_FLIGHT
        )

    def unhold(self, queue_ids: Iterable[str]) -> None:
        for queue_id in queue_ids:
            if queue_id in self.queue:
                self.queue[queue_id].held = False

    def delete_held(self, queue_ids: Iterable[str]) -> None:
        for queue_id in queue_ids:
            if queue_id in self.queue and self.queue[queue_id].held:
                del self.queue[queue_id]

    def delete(self, queue_ids: Iterable[str]) -> None:
        for queue_id in queue_ids:
            self.queue.pop(queue_id, None)
