"""Stands for the machines of others: what is not the fleet gets the processor first.

Proxies, DNS and receivers are other people's machines in real life. On the lab's one machine they
must not starve behind the nodes, or a busy host looks like a broken proxy.
"""

from __future__ import annotations

_NICE = -10


def first(argv: list[str]) -> list[str]:
    """The command line that runs `argv` before the nodes' processes (nice(1))."""
    return ["nice", "-n", str(_NICE), *argv]
