"""When each egress is probed next. Pure; `now_s` is any monotonic clock.

At the start all are spread over a short while, later each comes once per interval with jitter, so
that proxies and echo service see a trickle. What changed in the spec is probed soon, and so is what
mail did not get through. One that failed is looked at again after seconds, then ever more seldom,
down to a fraction of the interval: two failures in a row mean more than one.
"""

from __future__ import annotations

import random
from collections.abc import Mapping

# The first look at many egresses is spread over this long.
FIRST_SPREAD_S = 10.0
# An egress that was not healthy is looked at again after so long, which doubles each time.
RECHECK_S = 4.0
# But at least so often.
RECHECK_FRACTION = 0.2
JITTER = 0.1
# Mail that does not get through has an egress probed at most this often.
SOON_GAP_S = 10.0


class ProbeSchedule:
    """Due times by egress; an egress is known by its fingerprint (what a probe depends on)."""

    def __init__(self, dice: random.Random) -> None:
        self._dice = dice
        self._due_s: dict[str, float] = {}
        self._done_s: dict[str, float] = {}
        self._failures: dict[str, int] = {}
        self._fingerprints: dict[str, bytes] = {}

    def use(self, fingerprints: Mapping[str, bytes], now_s: float) -> None:
        """These egresses are there now; new and changed ones are due within FIRST_SPREAD_S."""
        for egress_id in set(self._due_s) - set(fingerprints):
            del self._due_s[egress_id]
            self._done_s.pop(egress_id, None)
            self._failures.pop(egress_id, None)
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

    def hurry(self, egress_id: str, now_s: float) -> None:
        """Mail did not get through it. Unknown ones, and those that are being probed, stay so."""
        due_s = self._due_s.get(egress_id, float("inf"))
        if due_s < float("inf"):
            soon_s = max(now_s, self._done_s.get(egress_id, -float("inf")) + SOON_GAP_S)
            self._due_s[egress_id] = min(due_s, soon_s)

    def done(self, egress_id: str, healthy: bool, interval_s: float, now_s: float) -> None:
        """A probe ended; when the next one is due."""
        if egress_id not in self._due_s:
            return
        self._done_s[egress_id] = now_s
        failures = 0 if healthy else self._failures.get(egress_id, 0) + 1
        self._failures[egress_id] = failures
        wait_s = interval_s
        if failures:
            wait_s = min(interval_s * RECHECK_FRACTION, RECHECK_S * 2.0 ** min(failures - 1, 10))
        wait_s = max(wait_s, min(interval_s, 2.0))
        self._due_s[egress_id] = now_s + wait_s * self._dice.uniform(1 - JITTER, 1 + JITTER)
