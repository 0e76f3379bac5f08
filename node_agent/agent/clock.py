"""The two clocks of the agent.

CLOCK_BOOTTIME measures leases, and with the time that a grant names what is due: it never jumps and
goes on while the machine is suspended. Wall time stamps events; it may be stepped, and neither a
lease nor a hand-over depends on it.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime


def boottime_ns() -> int:
    """Nanoseconds since the machine started, suspension included."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def wall_ms() -> int:
    """Milliseconds since 1970, UTC."""
    return time.time_ns() // 1_000_000


def from_wall_ms(ms: int) -> datetime:
    """The same instant as an aware datetime in UTC."""
    return datetime.fromtimestamp(ms / 1000, UTC)
