"""When each egress is probed next. Pure; `now_s` is any monotonic clock.

At the start all are spread over a short while, later each comes once per interval with jitter, so
that proxies and echo service see a trickle. What changed in the spec is probed soon.
"""

from __future__ import annotations

import random
from collections.abc import Mapping

# The first look at many egresses is spread over this long.
FIRST_SPREAD_S = 10.0
# An egress that was not healthy is looked at sooner.
RECHECK_FRACTION = 0.2
JITTER = 0.1


class ProbeSchedule:
    """Due times by egress; an egress is known by its fingerprint (what a probe depends on)."""

    def __init__(self, dice: random.Random) -> None:
        self._dice = dice
        self._due_s: dict[str, float] = {}
        self._fingerprints: dict[str, bytes] = {}

    def use(self, fingerprints: Mapping[str, bytes], now_s: float) -> None:
        """These egresses are there now; new and changed ones are due within FIRST_SPREAD_S."""
        for egress_id in set(self._due_s) - set(fingerprints):
            del self._due_s[egress_id]
        spread_s = min(FIRST_SPREAD_S, 0.1 * len(fingerprints))
        for egress_id, fingerprint in fingerprints.items():
            if self._fingerprints.get(egress_id) != fingerprint or egress_id not in self._due_s:
                self._due_s[egress_id] = now_s + self._dice.uniform(0, spread_s)
        self._fingerprints = dict(fingerprints)

    def take_due(self, now_s: float) -> list[str]:
        """Egresses to probe now; not due again before `done`."""
        due = sorted(e for e, due_s in self._due_s.items() if due_s <= now_s)
        for egress_id in due:
            self._due_s[egress_id] = float("inf")
        return due

    def done(self, egress_id: str, healthy: bool, interval_s: float, now_s: float) -> None:
        """A probe ended; when the next one is due."""
        if egress_id not in self._due_s:
            return
        wait_s = interval_s * (1.0 if healthy else RECHECK_FRACTION)
        wait_s = max(wait_s, min(interval_s, 2.0))
        self._due_s[egress_id] = now_s + wait_s * self._dice.uniform(1 - JITTER, 1 + JITTER)
