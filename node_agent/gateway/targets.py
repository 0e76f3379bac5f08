"""Which addresses mail may be sent to. Pure.

An MX record may point anywhere: to this node, into its provider's network, at a router. Only
globally routable unicast is a mail server, unless the inventory allows a network (the lab's).
Source of the list: IANA IPv4 Special-Purpose Address Registry, RFC 6890 and its updates. It is
written out because the `ipaddress` module's own differs between the Pythons on our nodes.
"""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network

SMTP_PORTS = frozenset({25, 465, 587})

_RESERVED = tuple(
    (IPv4Network(net), what)
    for net, what in (
        ("0.0.0.0/8", "this network"),
        ("10.0.0.0/8", "private"),
        ("100.64.0.0/10", "shared by carriers"),
        ("127.0.0.0/8", "loopback"),
        ("169.254.0.0/16", "link-local"),
        ("172.16.0.0/12", "private"),
        ("192.0.0.0/24", "reserved"),
        ("192.0.2.0/24", "documentation"),
        ("192.88.99.0/24", "reserved"),
        ("192.168.0.0/16", "private"),
        ("198.18.0.0/15", "benchmarking, our surrogates"),
        ("198.51.100.0/24", "documentation"),
        ("203.0.113.0/24", "documentation"),
        ("224.0.0.0/4", "multicast"),
        ("240.0.0.0/4", "reserved"),
    )
)


# The same few servers get most of the mail.
@lru_cache(maxsize=4096)
def target_refusal(address: str, port: int, allowed: tuple[IPv4Network, ...]) -> str | None:
    """Return why nothing may be sent to `address`:`port`, or None. `address` is dotted quad."""
    if port not in SMTP_PORTS:
        return f"port {port} is no mail port"
    target = IPv4Address(address)
    if any(target in net for net in allowed):
        return None
    for net, what in _RESERVED:
        if target in net:
            return f"{address} is not allowed as a target ({what}, {net})"
    return None
