"""Reads what conntrack(8) in the router saw of TCP connections to the proxies: a witness between.

The kernel looks at a packet before a fault of the lab drops it, so the end of a connection is seen
here also where the other side never hears of it. Only ends are of interest: the first FIN of either
side, a reset, or the kernel forgetting the connection.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lab.network import Network
from lab.network_namespace import Process
from lab.proxies_config import PORT

_ENDED = ("FIN_WAIT", "CLOSE_WAIT", "LAST_ACK", "TIME_WAIT", "CLOSE")
# [1732561234.668754]	 [UPDATE] tcp      6 10 CLOSE src=10.80.1.1 dst=198.51.100.1 sport=48380 …
_EVENT = re.compile(
    r"^\[(?P<at>\d+\.\d+)\]\s+\[(?P<event>\w+)\] tcp\s+6 (?:\d+ )?(?:(?P<state>[A-Z_]+) )?"
    r"src=(?P<client>\S+) dst=(?P<proxy>\S+) sport=(?P<port>\d+) dport=\d+"
)


@dataclass(frozen=True)
class Ended:
    """A connection's end; `at` is seconds since the epoch."""

    at: float
    client: str
    client_port: int
    proxy: str


def watch_ends(network: Network) -> Process:
    """Starts conntrack(8) in the lab's router; its output is the log that `read_ends` reads."""
    argv = ["conntrack", "-E", "-p", "tcp", "--dport", str(PORT), "-o", "timestamp"]
    return network.router.popen(argv, log="conntrack")


def read_ends(path: Path) -> Iterator[Ended]:
    """The ends in the log, in order; a connection may end more than once."""
    with path.open(encoding="ascii", errors="replace") as lines:
        for line in lines:
            ended = parse_line(line)
            if ended is not None:
                yield ended


def parse_line(line: str) -> Ended | None:
    """One line; None when it tells of no end."""
    found = _EVENT.match(line)
    if found is None or (found["event"] != "DESTROY" and found["state"] not in _ENDED):
        return None
    return Ended(float(found["at"]), found["client"], int(found["port"]), found["proxy"])
