"""What the proxies' own log says, which no part of the fleet wrote. Pure.

Two things: every delivered message came through a connection of its exit to that receiver; and no
two nodes ever had SMTP connections open through the same proxy at the same time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from lab.proxies_log import Connection

SMTP_PORTS = frozenset({25, 465, 587})


def routes(connections: Iterable[Connection]) -> set[tuple[str, str]]:
    """(exit address, receiver's address) of every SMTP connection that was made."""
    return {
        (each.exit, each.target)
        for each in connections
        if each.event == "open" and each.target_port in SMTP_PORTS
    }


def overlaps(connections: Iterable[Connection]) -> list[str]:
    """Each moment at which a second node began to send through a proxy that another one used.

    The log's order counts, not its times. A connection whose end is not in the log stays open.
    """
    found = []
    # proxy -> node -> ports of its open connections
    open_: dict[str, dict[str, set[int]]] = defaultdict(lambda: defaultdict(set))
    for each in connections:
        if each.target_port not in SMTP_PORTS:
            continue
        nodes = open_[each.proxy]
        if each.event == "close":
            nodes[each.client].discard(each.client_port)
            continue
        others = [node for node, ports in nodes.items() if ports and node != each.client]
        nodes[each.client].add(each.client_port)
        if others:
            found.append(f"{each.proxy}: {each.client} while {', '.join(others)} had it open")
    return found
