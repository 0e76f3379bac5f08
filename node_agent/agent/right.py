"""The right to hand over, as this process sees it now. Pure rules over a small mutable record.

One object is shared by the session (which writes it) and the hand-over (which asks it). The gateway
fences by itself; this gate keeps mail out of Postfix's queue that could not leave anyway.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from postfleet.v1 import spec_pb2

from node_agent.agent.lease import Lease, newer
from node_agent.agent.suspensions import SuspensionList


@dataclass(slots=True)
class Right:
    """Lease, suspensions, running spec, and what was given back."""

    lease: Lease | None = None
    suspensions: SuspensionList = field(default_factory=SuspensionList)
    spec: spec_pb2.NodeSpec = field(default_factory=spec_pb2.NodeSpec)
    # Highest epoch ever seen, kept in the spool: a lower one is stale.
    highest_epoch: int = 0
    # Egress id to the epoch in which it was given back; a higher epoch opens it again.
    released: dict[str, int] = field(default_factory=dict)
    # The gateway has the lease that is held here.
    gateway_knows: bool = False
    # Why this node itself lets nothing out; empty: it does.
    halted: str = ""
    _mailboxes: dict[str, str] = field(default_factory=dict)
    _clients: dict[str, str] = field(default_factory=dict)

    def use_spec(self, spec: spec_pb2.NodeSpec) -> None:
        """`spec` runs now."""
        self.spec = spec
        self._mailboxes = {m: e.id for e in spec.egresses for m in e.mailboxes}
        self._clients = {e.id: e.client_id for e in spec.egresses}

    def use_lease(self, grant: Lease) -> bool:
        """Hold `grant`; False where it is stale and nothing changed."""
        held = newer(self.lease, grant)
        if held is None or grant.epoch < self.highest_epoch:
            return False
        self.lease = held
        self.highest_epoch = held.epoch
        return True

    def fleet_ms(self, now_ns: int) -> int:
        """What time it is by the controller's clock, for what is due; 0 without a lease."""
        return 0 if self.lease is None else self.lease.fleet_ms(now_ns)

    def release(self, egress_ids: Iterable[str], epoch: int) -> None:
        """These were given back in this term."""
        for egress_id in egress_ids:
            self.released[egress_id] = max(epoch, self.released.get(egress_id, 0))

    def is_released(self, egress_id: str, epoch: int) -> bool:
        """Whether the egress was given back in this term or a later one."""
        return self.released.get(egress_id, 0) >= epoch

    def holds(self, egress_id: str, now_ns: int) -> bool | None:
        """Whether this node is the one that sends for the egress; None: it cannot tell now."""
        lease = self.lease
        if lease is None or not lease.valid(now_ns):
            return None
        return egress_id in lease.egress_ids and not self.is_released(egress_id, lease.epoch)

    def why_not(
        self, mailbox: str, egress_id: str, epoch: int, now_ns: int, now_ms: int
    ) -> str | None:
        """Why a message of this group may not be handed over now, or None."""
        lease = self.lease
        if lease is None or not lease.valid(now_ns):
            return "no valid lease"
        if not lease.covers(egress_id, epoch, now_ns):
            return f"egress {egress_id} is not leased in term {epoch}"
        if self.is_released(egress_id, epoch):
            return f"egress {egress_id} was given back in term {epoch}"
        if self.halted:
            return self.halted
        if not self.gateway_knows:
            return "the gateway does not have the lease"
        if self._mailboxes.get(mailbox) != egress_id:
            return f"{mailbox} is not on {egress_id} in generation {self.spec.generation}"
        return self.suspensions.why_stopped(
            mailbox, egress_id, self._clients.get(egress_id, ""), now_ms
        )

    def closed_egresses(self, now_ms: int) -> dict[str, str]:
        """Egress id to why nothing may leave by it now; what the gateway is told."""
        if self.halted:
            return {egress.id: self.halted for egress in self.spec.egresses}
        return self.suspensions.egress_reasons(now_ms)

    def why_refused(self, mailbox: str, egress_id: str, epoch: int) -> tuple[str, str] | None:
        """(code, detail) where a dispatched message is to be refused, or None.

        What only has to wait (a grant or a spec on its way) is taken.
        """
        if epoch < self.highest_epoch:
            return "stale-epoch", f"dispatched in term {epoch}, this is term {self.highest_epoch}"
        if self.is_released(egress_id, epoch):
            return "unknown-egress", f"{egress_id} was given back in term {epoch}"
        lease = self.lease
        leased = lease is None or lease.epoch < epoch or egress_id in lease.egress_ids
        if not leased and egress_id not in self._clients:
            return "unknown-egress", f"{egress_id} is neither leased to this node nor in its spec"
        if mailbox.count("@") != 1:
            return "unknown-egress", f"{mailbox!r} is no mailbox"
        return None

    def why_misplaced(self, mailbox: str, egress_id: str, epoch: int, now_ns: int) -> str | None:
        """Why nothing of this group can go under the present lease and spec, or None."""
        lease = self.lease
        if lease is None or not lease.valid(now_ns) or lease.epoch != epoch:
            return None
        if egress_id not in lease.egress_ids:
            return f"egress {egress_id} is not leased to this node"
        if self._mailboxes.get(mailbox) != egress_id:
            return f"{mailbox} is not on {egress_id} in generation {self.spec.generation}"
        return None
