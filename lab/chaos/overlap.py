"""Whether two nodes had SMTP connections open through one proxy at the same time. Pure.

The proxies' log says when a connection began. When it ended it knows only if the end arrived: a
node that lost its power, or its way to the proxies, leaves half a connection behind. There other
witnesses count: conntrack in the router between them sees the node's last packets also where a
fault then drops them, and the lab knows when it cut a node's power.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from lab.chaos.facts import End
from lab.demo.witness import SMTP_PORTS
from lab.proxies_log import Connection


@dataclass(frozen=True)
class Span:
    """One SMTP connection of a node through a proxy, times in seconds since the epoch."""

    proxy: str
    client: str
    began: float
    ended: float


def with_ends(connections: Iterable[Connection], ends: Iterable[End]) -> list[Connection]:
    """The log with each connection closed at its earliest end that any witness saw.

    In the order of time, an end before a beginning of the same instant.
    """
    known: dict[tuple[str, int, str], list[float]] = defaultdict(list)
    for end in ends:
        known[end.client, end.client_port, end.proxy].append(end.at)
    opened: dict[tuple[str, int, str], Connection] = {}
    mended: list[Connection] = []

    def close(each: Connection, at: float | None) -> None:
        seen = [] if at is None else [at]
        for key in ((each.client, each.client_port, each.proxy), (each.client, 0, "")):
            seen += [other for other in known[key] if other >= each.at]
        if seen:
            mended.append(replace(each, event="close", at=min(seen)))

    for each in connections:
        key = (each.client, each.client_port, each.proxy)
        if each.event == "open":
            if key in opened:  # the port is used again, so its last connection is over
                close(opened[key], each.at)
            opened[key] = each
            mended.append(each)
        elif each.event == "close" and key in opened:
            close(opened.pop(key), each.at)
        elif each.event == "refused":
            mended.append(each)
    for each in opened.values():
        close(each, None)
    return sorted(mended, key=lambda each: (each.at, each.event != "close"))


def spans(connections: Iterable[Connection], until: float) -> list[Span]:
    """The SMTP connections in a log (see `with_ends`); what has no end in it lasts `until`."""
    opened: dict[tuple[str, int, str], float] = {}
    found = []
    for each in connections:
        if each.target_port not in SMTP_PORTS:
            continue
        key = (each.client, each.client_port, each.proxy)
        if each.event == "open":
            opened[key] = each.at
        elif each.event == "close" and key in opened:
            found.append(Span(each.proxy, each.client, opened.pop(key), each.at))
    found += [Span(proxy, client, at, until) for (client, _, proxy), at in opened.items()]
    return found


def overlap_ms(found: Iterable[Span]) -> int:
    """For how long in all two nodes had one proxy open at the same time, in whole milliseconds.

    Rounded up: an overlap that is shorter than a millisecond is one.
    """
    by_proxy: dict[str, list[Span]] = defaultdict(list)
    for span in found:
        by_proxy[span.proxy].append(span)
    total_s = sum(length for here in by_proxy.values() for length in _overlaps(here))
    return -int(-total_s * 1000 // 1)


def _overlaps(here: list[Span]) -> Iterator[float]:
    """Walks one proxy's connections in time; while two nodes have it, the time counts."""
    steps = sorted(
        [(span.began, 1, span.client) for span in here]
        + [(span.ended, 0, span.client) for span in here]
    )
    open_: dict[str, int] = defaultdict(int)
    since: float | None = None
    for at, begins, client in steps:
        open_[client] += 1 if begins else -1
        shared = sum(count > 0 for count in open_.values()) > 1
        if shared and since is None:
            since = at
        elif not shared and since is not None:
            yield at - since
            since = None
