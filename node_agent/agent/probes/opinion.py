"""Whose fault is it that a probe failed: the proxy's, or that of the target it was led to?

The echo that probes are led to is the controller's own. While the controller is away, a proxy in
the best of health answers that the target refused, and says it about every egress of the fleet at
once. So a failure that may be the target's (`ProbeResult.doubt`) counts only where the controller
was there all the while: the session that was open when the probe began is still open, and a
heartbeat was answered in it after the probe had failed. Then the egress is looked at once more; if
that fails alike but the proxy does lead to the controller's other door (the one agents dial), the
echo is at fault.

What nobody can know is None: what was known of the egress before, stays.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from node_agent.agent.probes.probe import ProbeResult

# How long to wait for a heartbeat's answer; they come every few seconds.
WITNESS_S = 20.0
_POLL_S = 0.1


@dataclass(frozen=True, slots=True)
class Hearing:
    """What we hear of the controller. `session`: a number of its own for each that opened, 0 while
    none is open. `trusted_until_ns`: of the newest grant; grows with every heartbeat answered."""

    session: int
    trusted_until_ns: int


Hear = Callable[[], Hearing]
Look = Callable[[], Awaitable[ProbeResult]]


async def judge(
    result: ProbeResult,
    before: Hearing,
    hear: Hear,
    again: Look,
    other_door: Look,
    witness_s: float = WITNESS_S,
) -> ProbeResult | None:
    """What the probe says about the egress; None: nothing. `before`: heard when it began."""
    if not result.doubt:
        return result
    if not await _was_there(before, hear, witness_s):
        return None
    begun = hear()
    result = await again()
    if not result.doubt:
        return result
    if not await _was_there(begun, hear, witness_s) or (await other_door()).healthy:
        return None
    return result


async def _was_there(before: Hearing, hear: Hear, witness_s: float) -> bool:
    """Whether the controller spoke in the session of `before` after now, without a break."""
    after = hear()
    waited_s = 0.0
    while before.session and hear().session == before.session and waited_s < witness_s:
        if hear().trusted_until_ns > after.trusted_until_ns:
            return True
        await asyncio.sleep(_POLL_S)
        waited_s += _POLL_S
    return False
