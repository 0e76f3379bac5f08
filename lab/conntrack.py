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
        self._open: set[Flow] = set()
        self.ends: list[Ended] = []

    def start(self) -> ConntrackWatch:
        """Begins; returns itself."""
        self._thread.start()
        return self

    def stop(self) -> None:
        """Ends. Raises RuntimeError when it had died before: it saw less than it should have."""
        died = not self._thread.is_alive()
        self._stopped.set()
        self._thread.join()
        if died:
            raise RuntimeError("the conntrack watch died; its traceback is on standard error")

    def _run(self) -> None:
        argv = ["conntrack", "-L", "-p", "tcp", "--dport", str(PORT)]
        while not self._stopped.wait(_EVERY_S):
            table = self._router.run(argv).stdout
            self._look(open_flows(table), time.time())

    def _look(self, open_: set[Flow], now: float) -> None:
        self.ends += [Ended(now, flow) for flow in self._open - open_]
        self._open = open_


def open_flows(table: str) -> set[Flow]:
    """The connections in the output of `conntrack -L` of which neither side said that it ends."""
    found = (_FLOW.match(line) for line in table.splitlines())
    return {
        Flow(each["client"], int(each["port"]), each["proxy"])
        for each in found
        if each is not None and each["state"] not in _ENDED
    }
