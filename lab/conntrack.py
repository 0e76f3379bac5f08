"""Watches connections to the proxies in the router's conntrack table: a witness in between.

The kernel looks at a packet before a fault of the lab drops it, so the end of a connection shows
here also where the other side never hears of it. (In the table, that is: conntrack's events are
delivered only for packets that get through, conntrack(8) -E says nothing of a FIN that is dropped.)
The table is read five times a second; an end is noted up to that much too late, never too early.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass

from lab.network import Network
from lab.proxies_config import PORT

_ENDED = frozenset({"FIN_WAIT", "CLOSE_WAIT", "LAST_ACK", "TIME_WAIT", "CLOSE"})
# tcp      6 431999 ESTABLISHED src=10.80.1.1 dst=198.51.100.1 sport=48380 dport=1080 src=…
_FLOW = re.compile(
    r"^tcp\s+6 \d+ (?P<state>[A-Z_0-9]+) "
    r"src=(?P<client>\S+) dst=(?P<proxy>\S+) sport=(?P<port>\d+) dport=\d+ "
)
_EVERY_S = 0.2


@dataclass(frozen=True)
class Flow:
    """A connection to a proxy, by the side that opened it."""

    client: str
    client_port: int
    proxy: str


@dataclass(frozen=True)
class Ended:
    """A connection's end; `at` is seconds since the epoch."""

    at: float
    flow: Flow


class ConntrackWatch:
    """Reads the table in a thread from `start` to `stop`; `ends` is what it saw so far."""

    def __init__(self, network: Network) -> None:
        self._router = network.router
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="conntrack", daemon=True)
        self._seen: dict[Flow, bool] = {}
        self.ends: list[Ended] = []

    def start(self) -> ConntrackWatch:
        """Begins; returns itself."""
        self._thread.start()
        return self

    def stop(self) -> None:
        """Ends."""
        self._stopped.set()
        self._thread.join()

    @property
    def alive(self) -> bool:
        """False when it died: it sees less than it should. Its traceback is on standard error."""
        return self._thread.is_alive()

    def _run(self) -> None:
        argv = ["conntrack", "-L", "-p", "tcp", "--dport", str(PORT)]
        while not self._stopped.wait(_EVERY_S):
            table = self._router.run(argv).stdout
            seen, now = flows(table), time.time()
            self.ends += [Ended(now, flow) for flow in ended(self._seen, seen)]
            self._seen = seen


def flows(table: str) -> dict[Flow, bool]:
    """The connections in the output of `conntrack -L`; False: one of its sides said it is over."""
    found = (_FLOW.match(line) for line in table.splitlines())
    return {
        Flow(each["client"], int(each["port"]), each["proxy"]): each["state"] not in _ENDED
        for each in found
        if each is not None
    }


def ended(before: Mapping[Flow, bool], after: Mapping[Flow, bool]) -> list[Flow]:
    """Those that ended between two looks: also one that was gone, or over, when first seen."""
    gone = [flow for flow, open_ in before.items() if open_ and flow not in after]
    return gone + [flow for flow, open_ in after.items() if not open_ and before.get(flow, True)]
