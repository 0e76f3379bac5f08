"""Stands for machines of their own: what is not a node gets the processor first.

Proxies, DNS and receivers are other people's machines in real life, and the controller with its
PostgreSQL is one beside the nodes. On the lab's one machine they must not starve behind a hundred
deliveries, or a busy host looks like a broken proxy, and a controller that learns of refusals
minutes late like one that does not heed them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

_NICE = -10


def first(argv: list[str]) -> list[str]:
    """The command line that runs `argv` before the nodes' processes (nice(1))."""
    return ["nice", "-n", str(_NICE), *argv]


@contextmanager
def being_first() -> Iterator[None]:
    """What this thread starts within runs before the nodes' processes, whoever it runs as."""
    before = os.getpriority(os.PRIO_PROCESS, 0)
    os.setpriority(os.PRIO_PROCESS, 0, _NICE)
    try:
        yield
    finally:
        os.setpriority(os.PRIO_PROCESS, 0, before)
