"""Faults of a node's network, made in the router: cuts, one-way cuts, loss, slow lines.

    faults = NetworkFaults(lab.network)
    with faults.cut("n1", "controller"): …            # both directions
    faults.cut("n1", "proxies", direction=OUT)        # n1's packets vanish, answers would come
    faults.lose("n1", percent=20)
    faults.heal()

Packets are dropped without a word, as a broken line does it; open connections notice by silence.
The node itself sees a healthy interface. Delay needs the kernel's netem, which not every machine
has: FaultImpossible says so.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from types import TracebackType

from lab.errors import FaultImpossible, NetworkError
from lab.network import Network, cable

_TABLE = "inet faults"


class Direction(Enum):
    """Which packets are meant, as seen from the node."""

    BOTH = "both"
    OUT = "out"
    IN = "in"


@dataclass(frozen=True)
class Fault:
    """A fault that holds until `heal`, or the end of its `with`."""

    network: Network
    handles: tuple[int, ...]

    def heal(self) -> None:
        """End it; ended already: nothing."""
        for handle in self.handles:
            delete = ["nft", "delete", "rule", *_TABLE.split(), "forward", "handle", str(handle)]
            self.network.router.run(delete, check=False)

    def __enter__(self) -> Fault:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.heal()


class NetworkFaults:
    """Makes faults between a node and others. Peers: "controller", "proxies", "dns", "receivers",
    another node's id, or "" for everybody."""

    def __init__(self, network: Network) -> None:
        self._network = network
        chain = "{ type filter hook forward priority filter - 10; }"
        self._nft(f"add table {_TABLE}\nadd chain {_TABLE} forward {chain}\n")

    def cut(self, node: str, peer: str = "", direction: Direction = Direction.BOTH) -> Fault:
        """Drop all packets between the node and the peer."""
        return self._drop(node, peer, direction, "")

    def lose(
        self, node: str, peer: str = "", *, percent: int, direction: Direction = Direction.BOTH
    ) -> Fault:
        """Drop so many percent of the packets, at random (nft numgen)."""
        if not 0 <= percent <= 100:
            raise ValueError(f"{percent} % of the packets: 0 to 100 are possible")
        return self._drop(node, peer, direction, f"numgen random mod 100 < {percent} ")

    def heal(self) -> None:
        """End all cuts and losses of this lab, whoever made them."""
        self._nft(f"flush chain {_TABLE} forward\n")

    def limit_rate(self, node: str, kbit_per_s: int) -> None:
        """Let the node receive no more than this (tbf); `full_speed` ends it."""
        limit = f"tbf rate {kbit_per_s}kbit burst 16kb latency 400ms"
        self._qdisc(node, limit, "limit the rate")

    def delay(self, node: str, milliseconds: int) -> None:
        """Delay what the node receives. Raises FaultImpossible where the kernel has no netem."""
        self._qdisc(node, f"netem delay {milliseconds}ms", "delay packets")

    def full_speed(self, node: str) -> None:
        """End rate limit and delay."""
        self._network.router.run(["tc", "qdisc", "del", "dev", cable(node), "root"], check=False)

    def _qdisc(self, node: str, discipline: str, what: str) -> None:
        argv = ["tc", "qdisc", "replace", "dev", cable(node), "root", *discipline.split()]
        done = self._network.router.run(argv, check=False)
        if done.returncode != 0:
            raise FaultImpossible(f"this kernel cannot {what}: {done.stderr.strip()}")

    def _drop(self, node: str, peer: str, direction: Direction, condition: str) -> Fault:
        own, other = cable(node), "uplink" if peer == "controller" else peer and cable(peer)
        rules = []
        if direction in (Direction.BOTH, Direction.OUT):
            to = f'oifname "{other}" ' if other else ""
            to += f"ip daddr {self._network.plan.controller} " if peer == "controller" else ""
            rules.append(f'iifname "{own}" {to}')
        if direction in (Direction.BOTH, Direction.IN):
            source = f'iifname "{other}" ' if other else ""
            source += f"ip saddr {self._network.plan.controller} " if peer == "controller" else ""
            rules.append(f'oifname "{own}" {source}')
        handles = [self._add(f"{rule}{condition}counter drop") for rule in rules]
        return Fault(self._network, tuple(handles))

    def _add(self, rule: str) -> int:
        said = self._nft(f"add rule {_TABLE} forward {rule}\n", "--echo", "--handle")
        handle = re.search(r"# handle (\d+)", said)
        if handle is None:
            raise NetworkError(f"nft took the rule {rule!r} but named no handle: {said!r}")
        return int(handle.group(1))

    def _nft(self, commands: str, *options: str) -> str:
        return self._network.router.run(["nft", *options, "-f", "-"], stdin=commands).stdout
