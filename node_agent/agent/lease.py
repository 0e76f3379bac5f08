"""Lease arithmetic (DESIGN, invariant 1). Pure; all instants are CLOCK_BOOTTIME nanoseconds.

The trust counts from the *sending* of the heartbeat that the grant answers: a slow answer shortens
it and never extends it. The gateway fences by itself with the same instants.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to send through `egress_ids` until `trusted_until_ns`, in term `epoch`."""

    epoch: int
    trusted_until_ns: int
    expires_at_ns: int
    egress_ids: frozenset[str]

    def valid(self, now_ns: int) -> bool:
        """Whether something new may begin now."""
        return now_ns < self.trusted_until_ns

    def covers(self, egress_id: str, epoch: int, now_ns: int) -> bool:
        """Whether a message of this term may be handed over for this egress now."""
        return epoch == self.epoch and egress_id in self.egress_ids and self.valid(now_ns)


def granted(
    sent_at_ns: int, epoch: int, ttl_ms: int, margin_ms: int, egress_ids: frozenset[str]
) -> Lease:
    """The lease that a grant gives for the heartbeat sent at `sent_at_ns`.

    Raises ValueError where the grant makes no sense (no margin, or one as long as the ttl).
    """
    if epoch < 1 or not 0 < margin_ms < ttl_ms:
        raise ValueError(f"a grant with epoch {epoch}, ttl {ttl_ms} ms, margin {margin_ms} ms")
    return Lease(
        epoch=epoch,
        trusted_until_ns=sent_at_ns + (ttl_ms - margin_ms) * 1_000_000,
        expires_at_ns=sent_at_ns + ttl_ms * 1_000_000,
        egress_ids=egress_ids,
    )


def newer(held: Lease | None, grant: Lease) -> Lease | None:
    """The lease to hold after `grant` arrived; None where the grant is stale and nothing changes.

    A lower epoch is stale. Within a term an answer to an earlier heartbeat is stale as well.
    """
    if held is None or grant.epoch > held.epoch:
        return grant
    if grant.epoch < held.epoch or grant.expires_at_ns < held.expires_at_ns:
        return None
    return grant
