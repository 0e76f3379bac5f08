"""Who has which address in a lab: pure arithmetic over the lab's index.

Index 0 is 10.80.0.0/16, index 1 is 10.81.0.0/16, … so labs run side by side. Proxies and receivers
keep their documentation networks (RFC 5737) in every lab: these live in the lab's own namespaces.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

MAX_LABS = 100

PROXY_NET = IPv4Network("198.51.100.0/24")
RECEIVER_NET = IPv4Network("203.0.113.0/24")
RESOLVER = IPv4Address("203.0.113.53")
# What every part sees as its gateway: the router's end of its own cable (RFC 3927 address, as
# providers with /32 networks do it).
GATEWAY = IPv4Address("169.254.1.1")


@dataclass(frozen=True)
class AddressPlan:
    """Addresses of the lab with this index (0..99)."""

    index: int

    def __post_init__(self) -> None:
        if not 0 <= self.index < MAX_LABS:
            raise ValueError(f"lab index {self.index} is not within 0..{MAX_LABS - 1}")

    @property
    def node_net(self) -> IPv4Network:
        """Nodes, and the controller on the host side."""
        return IPv4Network(f"10.{80 + self.index}.0.0/16")

    @property
    def controller(self) -> IPv4Address:
        """The host's end; the controller listens here."""
        return self.node_net[1]

    @property
    def router(self) -> IPv4Address:
        """The source of everything that leaves the lab for packages and DNS."""
        return self.node_net[2]

    @property
    def resolver(self) -> IPv4Address:
        """The lab's resolver for processes of the host, which has no route to RESOLVER."""
        return self.node_net[53]

    @property
    def host_link(self) -> str:
        """The host's end of the cable to the router."""
        return f"pflab{self.index}"

    @property
    def routing_table(self) -> int:
        """The host's routing table for packets whose source is this lab's controller address."""
        return 8000 + self.index

    def node(self, number: int) -> IPv4Address:
        """Address of the n-th node, n from 1 to 60,000: 10.80.1.1, 10.80.1.2, …"""
        if not 1 <= number <= 60_000:
            raise ValueError(f"node number {number} is not within 1..60000")
        return self.node_net[256 + number]
