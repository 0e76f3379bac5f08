"""The ways from Postfix to the receiver, as nft rules. Pure; `Ground.namespace` loads them.

direct      as Postfix connects
gateway     redirected to postfleet-gateway
redsocks    redirected to redsocks, one port for each surrogate address
"""

from __future__ import annotations

from lab.bench.ground import SURROGATES

GATEWAY_PORT = 10025
REDSOCKS_FIRST_PORT = 12301

_MATCH = "ip saddr 198.18.0.0/15 tcp dport { 25, 587 }"


def redsocks_port(number: int) -> int:
    """The port of redsocks for the n-th egress, from 0."""
    return REDSOCKS_FIRST_PORT + number


def rules(way: str) -> str:
    """nft commands that make this way the one that is taken."""
    if way == "direct":
        rule = ""
    elif way == "gateway":
        rule = f"{_MATCH} redirect to :{GATEWAY_PORT}"
    elif way == "redsocks":
        ports = ", ".join(
            f"{address} : {redsocks_port(number)}" for number, address in enumerate(SURROGATES)
        )
        rule = f"{_MATCH} redirect to :ip saddr map {{ {ports} }}"
    else:
        raise ValueError(f"no way is called {way!r}")
    return f"""\
table ip bench
delete table ip bench
table ip bench {{
    chain out {{
        type nat hook output priority -100
        {rule}
    }}
}}
"""
