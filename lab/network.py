"""The lab's network: a router namespace in the middle, one cable to each part, one to the host.

Every part (a node, all proxies together, the DNS, the receivers) has a namespace whose eth0 is a
cable to the router; its default route goes there. The router forwards between parts and to the
controller on the host, and masquerades TCP 80/443 and DNS to the outside (packages); nothing else
leaves the lab, mail ports least of all. On the host there are: one link, its routes, one nft table,
ip_forward. All of it is noted in the traces before it is made.

Cutting and thinning traffic is `faults_network`; what runs in the namespaces is their owners'.
"""

from __future__ import annotations

import functools
import socket
from collections.abc import Iterable
from ipaddress import IPv4Address
from pathlib import Path

from lab.errors import NetworkError
from lab.network_namespace import Namespace
from lab.network_rules import host_rules, resolver_rules, router_rules
from lab.plan import GATEWAY, MAX_LABS, PROXY_NET, RECEIVER_NET, AddressPlan
from lab.traces import Traces, raise_sysctl

# eight systemds share root's inotify instances (default 128)
INOTIFY_INSTANCES = 4096
MIRRORS = ("deb.debian.org", "security.debian.org", "pypi.org", "files.pythonhosted.org")


class Network:
    """The network of one lab. `build` makes it, `load` takes up one that stands."""

    def __init__(self, lab: str, plan: AddressPlan, traces: Traces, log_dir: Path) -> None:
        self.lab, self.plan = lab, plan
        self._traces, self._log_dir = traces, log_dir
        self.host = Namespace(None, traces, log_dir)
        self.router = self._namespace("router")

    @classmethod
    def build(cls, lab: str, traces: Traces, log_dir: Path) -> Network:
        """Take the first free index (the host link's name is the claim) and wire the router."""
        host = Namespace(None, traces, log_dir)
        for index in range(MAX_LABS):
            plan = AddressPlan(index)
            if not Path("/sys/class/net", plan.host_link).exists():
                traces.note("link", plan.host_link)
                network = cls(lab, plan, traces, log_dir)
                network._make_router(host)
                return network
        raise NetworkError(f"all {MAX_LABS} lab indexes are taken; `lab down` one of them")

    def attach(
        self, part: str, addresses: Iterable[str] = (), routes: Iterable[str] = ()
    ) -> Namespace:
        """A new namespace on its own cable. `addresses` ("203.0.113.53/32") go to its eth0.

        The router sends these addresses, and the prefixes in `routes`, to it; the longest prefix
        wins. Name single addresses within 203.0.113.0/24: package mirrors may live there too. IPv6
        is off in it (Dante refuses interfaces with a link-local address).
        """
        addresses = list(addresses)
        self._refuse_mirror(addresses)
        namespace = self._make_namespace(part)
        _ip(self.router, f"link add {cable(part)} type veth peer name eth0 netns {namespace.name}")
        _ip(
            namespace,
            "link set lo up",
            *(f"address add {address} dev eth0" for address in addresses),
            "link set eth0 up",
            f"route add default via {GATEWAY} dev eth0 onlink",
        )
        _ip(
            self.router,
            f"address add {GATEWAY}/32 dev {cable(part)}",
            f"link set {cable(part)} up",
            *(f"route replace {prefix} dev {cable(part)}" for prefix in [*addresses, *routes]),
        )
        return namespace

    def namespace(self, part: str) -> Namespace:
        """The namespace of a part attached before, also by another process."""
        return self._namespace(part)

    def use_upstream_resolver(self, used: bool) -> None:
        """While the lab has no resolver of its own, the router passes its queries to the host's."""
        rules = resolver_rules(upstream_resolver() if used else None)
        self.router.run(["nft", "-f", "-"], stdin=rules)

    def _refuse_mirror(self, addresses: list[str]) -> None:
        """Some machines reach their package mirrors at documentation addresses."""
        taken = {address.partition("/")[0] for address in addresses} & mirror_addresses()
        if taken:
            raise NetworkError(
                f"{', '.join(sorted(taken))} is where this machine finds its packages "
                f"({', '.join(MIRRORS)}); give the part another address"
            )

    def _namespace(self, part: str) -> Namespace:
        return Namespace(f"pf-{self.lab}-{part}", self._traces, self._log_dir)

    def _make_namespace(self, part: str) -> Namespace:
        namespace = self._namespace(part)
        assert namespace.name is not None
        self._traces.note("netns", namespace.name)
        self.host.run(["ip", "netns", "add", namespace.name])
        namespace.run(["sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1"])
        namespace.run(["sysctl", "-qw", "net.ipv6.conf.default.disable_ipv6=1"])
        return namespace

    def _make_router(self, host: Namespace) -> None:
        plan, link = self.plan, self.plan.host_link
        self._make_namespace("router")
        _ip(host, f"link add {link} type veth peer name uplink netns {self.router.name}")
        _ip(
            self.router,
            "link set lo up",
            f"address add {plan.router}/32 dev uplink",
            f"address add {GATEWAY}/32 dev uplink",
            "link set uplink up",
            f"route add {plan.controller}/32 dev uplink",
            f"route add default via {plan.controller} dev uplink onlink src {plan.router}",
            *(f"route add unreachable {net}" for net in (plan.node_net, PROXY_NET)),
        )
        self.router.run(["sysctl", "-qw", "net.ipv4.ip_forward=1"])
        self.router.run(["nft", "-f", "-"], stdin=router_rules(plan))
        self.use_upstream_resolver(True)
        self._wire_host(host)

    def _wire_host(self, host: Namespace) -> None:
        plan, link = self.plan, self.plan.host_link
        _ip(host, f"address add {plan.controller}/32 dev {link}", f"link set {link} up")
        via = f"via {GATEWAY} dev {link} onlink src {plan.controller}"
        _ip(host, f"route replace {plan.node_net} {via}")
        # Only packets that carry this lab's address as source go to its proxies and receivers:
        # every lab has these networks, and a host may have real machines in them.
        for net in (PROXY_NET, RECEIVER_NET):
            _ip(host, f"route replace {net} {via} table {plan.routing_table}")
        rule = f"from {plan.controller} lookup {plan.routing_table}"
        self._traces.note("rule", rule)
        _ip(host, f"rule add {rule}")
        table = f"postfleet_lab{plan.index}"
        self._traces.note("nft", f"ip {table}")
        host.run(["nft", "-f", "-"], stdin=host_rules(plan, table))
        raise_sysctl(self._traces, "net/ipv4/ip_forward", 1, link)
        raise_sysctl(self._traces, "fs/inotify/max_user_instances", INOTIFY_INSTANCES, link)


@functools.cache
def mirror_addresses() -> frozenset[str]:
    """IPv4 addresses of the package mirrors as the host sees them; empty when offline."""
    found = set()
    for name in MIRRORS:
        try:
            found |= {str(info[4][0]) for info in socket.getaddrinfo(name, 80, socket.AF_INET)}
        except OSError:
            continue
    return frozenset(found)


def upstream_resolver() -> IPv4Address:
    """The host's own resolver, as an address that the router can reach."""
    for path in (Path("/etc/resolv.conf"), Path("/run/systemd/resolve/resolv.conf")):
        for line in path.read_text().splitlines() if path.exists() else ():
            words = line.split()
            if len(words) > 1 and words[0] == "nameserver" and ":" not in words[1]:
                address = IPv4Address(words[1])
                if not address.is_loopback:
                    return address
    raise NetworkError(
        "no resolver in /etc/resolv.conf that is reachable from other machines (only loopback); "
        "name the real one there, or in /run/systemd/resolve/resolv.conf"
    )


def cable(part: str) -> str:
    """The router's end of the cable to a part; the kernel allows 15 characters."""
    if len(part) > 13:
        raise NetworkError(f"part name {part!r} is longer than 13 characters")
    return f"c-{part}"


def _ip(namespace: Namespace, *lines: str) -> None:
    namespace.run(["ip", "-batch", "-"], stdin="\n".join(lines) + "\n")
