"""A second make of SOCKS5 proxy, for interoperability: one microsocks for one address.

It stalls 40 to 90 ms a message (no TCP_NODELAY), so the lab's fleet does not use it.
"""

from __future__ import annotations

from lab.network import Network
from lab.network_namespace import Process
from lab.proxies import PART

MICROSOCKS_PORT = 1081


def start_microsocks(network: Network, address: str, user: str, password: str) -> Process:
    """Starts it beside Dante at one of the proxies' addresses, which is its exit as well."""
    argv = ["microsocks", "-i", address, "-p", str(MICROSOCKS_PORT), "-b", address]
    argv += ["-u", user, "-P", password]
    return network.namespace(PART).popen(argv, log=f"microsocks-{address}")
