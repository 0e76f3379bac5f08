"""The node's right to send, as the gateway holds it. Pure: what holds, given the instant.

Instants are CLOCK_BOOTTIME nanoseconds. Four of them follow each other:
  trusted_until  nothing is opened any more
  cut_at         the gateway cuts every open connection and forwards not an octet more
  kill_at        the kernel kills the process if it did not get to that (deadman.py)
  expires_at     the controller may give the egresses to another node
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from node_agent.gateway.errors import LeaseError

# Further ahead is no lease but another clock (CLOCK_REALTIME is decades ahead). ttl_s <= 3600.
LONGEST_NS = 2 * 3600 * 1_000_000_000
# The last part of the time between trusted_until and expires_at is kept for cutting.
_SMALLEST_GUARD_NS = 50_000_000


@dataclass(frozen=True)
class Lease:
    """What the agent told last. The default is none: nothing may be opened."""

    epoch: int = 0
    trusted_until_ns: int = 0
    expires_at_ns: int = 0
    egress_ids: frozenset[str] = frozenset()
    # Named by a close request in this term.
    closed: frozenset[str] = frozenset()

    @property
    def cut_at_ns(self) -> int:
        """From here on nothing is forwarded."""
        return max(0, self.expires_at_ns - self._guard_ns)

    @property
    def kill_at_ns(self) -> int:
        """From here on the process must not exist with a connection open."""
        return max(0, self.expires_at_ns - self._guard_ns // 2)

    @property
    def _guard_ns(self) -> int:
        return max((self.expires_at_ns - self.trusted_until_ns) // 4, _SMALLEST_GUARD_NS)

    def refusal(self, egress_id: str, now_ns: int) -> str | None:
        """Return why this lease does not allow opening a connection now, or None: it does."""
        if self.epoch == 0:
            return "this node holds no lease"
        if egress_id not in self.egress_ids:
            return f"not in this node's lease of epoch {self.epoch}"
        if now_ns >= self.trusted_until_ns:
            late_s = (now_ns - self.trusted_until_ns) / 1e9
            return f"the lease of epoch {self.epoch} is not renewed since {late_s:.1f} s"
        if egress_id in self.closed:
            return f"closed in epoch {self.epoch}, it is being given back"
        return None


def grant(
    held: Lease,
    epoch: int,
    trusted_until_ns: int,
    expires_at_ns: int,
    egress_ids: Iterable[str],
    now_ns: int,
) -> Lease:
    """Return the lease that replaces `held`.

    A close holds until a higher epoch, or until a lease did not name the egress. A lease that is
    over already is taken: it closes everything. Raises LeaseError for a lower epoch than `held`'s
    and for times that no lease can have; `held` stays then.
    """
    if epoch < 1:
        raise LeaseError("epoch must be at least 1")
    if epoch < held.epoch:
        raise LeaseError(f"epoch {epoch} is older than {held.epoch}, which was seen already")
    if trusted_until_ns > expires_at_ns:
        raise LeaseError("trusted_until_ns is after expires_at_ns")
    if expires_at_ns - now_ns > LONGEST_NS:
        raise LeaseError(
            "expires_at_ns is more than two hours ahead: not an instant of CLOCK_BOOTTIME"
        )
    named = frozenset(egress_ids)
    closed = held.closed & named if epoch == held.epoch else frozenset[str]()
    return Lease(epoch, trusted_until_ns, expires_at_ns, named, closed)


def close(held: Lease, egress_ids: Iterable[str]) -> Lease:
    """Return `held` with these egresses closed for the rest of the term."""
    return replace(held, closed=held.closed | frozenset(egress_ids))
