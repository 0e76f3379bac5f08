"""The only clock of the gateway: CLOCK_BOOTTIME, which goes on while the machine sleeps and which
no one can step."""

from __future__ import annotations

import time


def boottime_ns() -> int:
    """Return nanoseconds since boot, suspended time included."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)
