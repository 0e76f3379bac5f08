"""The nft rules of a lab as text (nft(8)): pure functions of the address plan.

The router lets parts speak to each other and to the controller. Outside they reach TCP 80/443 and
DNS only; mail ports are dropped first, with a counter, so that a test can see it. The host repeats
the same limit for whatever comes from the router.
"""

from __future__ import annotations

from ipaddress import IPv4Address

from lab.plan import RESOLVER, AddressPlan

PACKAGE_PORTS = "tcp dport { 80, 443 }"
DNS_PORTS = "meta l4proto { tcp, udp } th dport 53"


def router_rules(plan: AddressPlan) -> str:
    """Table `ip lab` of the router namespace."""
    return f"""
table ip lab {{
    chain resolver {{
        type nat hook prerouting priority dstnat
    }}
    chain forward {{
        type filter hook forward priority filter; policy drop
        ct state established,related accept
        oifname != "uplink" accept
        ip daddr {plan.controller} accept
        tcp dport {{ 25, 465, 587 }} counter drop comment "mail stays in the lab"
        {PACKAGE_PORTS} accept
        {DNS_PORTS} accept
    }}
    chain outside {{
        type nat hook postrouting priority srcnat
        oifname "uplink" ip daddr != {plan.controller} snat to {plan.router}
    }}
}}
"""


def resolver_rules(upstream: IPv4Address | None) -> str:
    """Fill the router's `resolver` chain: queries for the lab's resolver go upstream, or stay."""
    rules = "flush chain ip lab resolver\n"
    if upstream is not None:
        rules += f"add rule ip lab resolver ip daddr {RESOLVER} {DNS_PORTS} dnat to {upstream}\n"
    return rules


def host_rules(plan: AddressPlan, table: str) -> str:
    """The host's table for this lab."""
    return f"""
table ip {table} {{
    chain forward {{
        type filter hook forward priority filter
        oifname "{plan.host_link}" ct state established,related accept
        oifname "{plan.host_link}" drop
        iifname "{plan.host_link}" {PACKAGE_PORTS} accept
        iifname "{plan.host_link}" {DNS_PORTS} accept
        iifname "{plan.host_link}" drop
    }}
    chain outside {{
        type nat hook postrouting priority srcnat
        ip saddr {plan.router} oifname != "{plan.host_link}" masquerade
    }}
}}
"""
