"""The only clock of the gateway: CLOCK_BOOTTIME, which goes on while the machine sleeps and which
no one can step."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

# Nanoseconds since boot, suspended time included. A partial and no function: it is called for
# every octet that passes, and this one has no Python frame.
boottime_ns: Callable[[], int] = partial(time.clock_gettime_ns, time.CLOCK_BOOTTIME)
