"""Lease arithmetic (DESIGN, invariant 1). Pure; all instants are CLOCK_BOOTTIME nanoseconds.

The trust counts from the *sending* of the heartbeat that the grant answers: a slow answer shortens
it and never extends it. The gateway fences by itself with the same instants.

A grant also names the controller's clock. Carried on with CLOCK_BOOTTIME from its arrival it is
never ahead of the controller's, whatever the machine's own clock says; by it the agent decides what
is due. So nothing is handed over that was not due by the controller's clock, and when a lease is
over the controller knows what cannot have been handed over.
"""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to send through `egress_ids` until `trusted_until_ns`, in term `epoch`."""

    epoch: int
    trusted_until_ns: int
    expires_at_ns: int
    egress_ids: frozenset[str]
    # The controller's clock (milliseconds since 1970), and when we were told.
    told_ms: int
    told_at_ns: int

    def fleet_ms(self, now_ns: int) -> int:
        """The controller's clock at `now_ns`, or a little less."""
        return self.told_ms + max(0, now_ns - self.told_at_ns) // 1_000_000

    def valid(self, now_ns: int) -> bool:
        """Whether something new may begin now."""
        return now_ns < self.trusted_until_ns

    def covers(self, egress_id: str, epoch: int, now_ns: int) -> bool:
        """Whether a message of this term may be handed over for this egress now."""
        return epoch == self.epoch and egress_id in self.egress_ids and self.valid(now_ns)


def granted(
    sent_at_ns: int,
    epoch: int,
    ttl_ms: int,
    margin_ms: int,
    egress_ids: frozenset[str],
    told_ms: int,
    told_at_ns: int,
) -> Lease:
    """The lease that a grant gives for the heartbeat sent at `sent_at_ns`, arrived at `told_at_ns`.

    Raises ValueError where the grant makes no sense (no time, no margin, one as long as the ttl).
    """
    if told_ms <= 0:
        raise ValueError(f"a grant with epoch {epoch} that does not say what time it is")
    if epoch < 1 or not 0 < margin_ms < ttl_ms:
        raise ValueError(f"a grant with epoch {epoch}, ttl {ttl_ms} ms, margin {margin_ms} ms")
    return Lease(
        epoch=epoch,
        trusted_until_ns=sent_at_ns + (ttl_ms - margin_ms) * 1_000_000,
        expires_at_ns=sent_at_ns + ttl_ms * 1_000_000,
        egress_ids=egress_ids,
        told_ms=told_ms,
        told_at_ns=told_at_ns,
    )


def newer(held: Lease | None, grant: Lease) -> Lease | None:
    """The lease to hold after `grant` arrived; None where the grant is stale and nothing changes.

    A lower epoch is stale. Within a term an answer to an earlier heartbeat is stale as well. A
    heartbeat that is answered again was answered at the same time of the controller's clock, of
    which we heard when the first answer came.
    """
    if held is None:
        return grant
    if grant.told_ms == held.told_ms:
        grant = replace(grant, told_at_ns=min(grant.told_at_ns, held.told_at_ns))
    if grant.epoch > held.epoch:
        return grant
    stale = grant.epoch < held.epoch or grant.expires_at_ns < held.expires_at_ns
    return None if stale else grant
