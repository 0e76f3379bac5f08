"""How long to wait after failures: exponential with full jitter. Pure."""

from __future__ import annotations

import random


def delay_s(failures: int, first_s: float, most_s: float, dice: random.Random) -> float:
    """Seconds to wait after the n-th failure in a row (n >= 1), uniform up to the exponential.

    At least a tenth of the bound, so that a lucky throw does not make a busy loop.
    """
    bound = min(most_s, first_s * 2.0 ** min(failures - 1, 30))
    return dice.uniform(bound / 10, bound)
