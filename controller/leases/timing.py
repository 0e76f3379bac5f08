"""The arithmetic of a lease: three durations and what follows from them. Pure.

    node        heartbeat sent at s       trusted until s + ttl - margin, all cut by s + ttl
    controller  renewal committed c >= s  seen at o >= c, over at o + ttl + margin

Because s <= c <= o, a node that keeps its half is silent before the controller ends the term. The
margin on either side pays for clocks that run at different speeds: with ttl 60 s and margin 5 s the
node's clock may be slower than the controller's by margin / ttl = 8 %.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class LeaseTiming:
    """Durations in seconds; 0 < heartbeat_s < ttl_s - margin_s and margin_s > 0."""

    ttl_s: float
    margin_s: float
    heartbeat_s: float

    def __post_init__(self) -> None:
        if not 0 < self.heartbeat_s < self.ttl_s - self.margin_s or self.margin_s <= 0:
            raise ValueError(
                f"lease settings ttl {self.ttl_s} s, margin {self.margin_s} s, heartbeat "
                f"{self.heartbeat_s} s leave no time to renew: heartbeat < ttl - margin is needed"
            )

    @property
    def ttl_ms(self) -> int:
        return round(self.ttl_s * 1000)

    @property
    def margin_ms(self) -> int:
        return round(self.margin_s * 1000)

    @property
    def heartbeat_ms(self) -> int:
        return round(self.heartbeat_s * 1000)


def silence_needed_s(ttl_ms: int, margin_ms: int) -> float:
    """How long renewals must have been seen unchanged before a term is over, in seconds."""
    return (ttl_ms + margin_ms) / 1000


def trusted_until_s(heartbeat_sent_s: float, ttl_s: float, margin_s: float) -> float:
    """Until when a node opens connections, on the clock of `heartbeat_sent_s`."""
    return heartbeat_sent_s + ttl_s - margin_s
