"""The text of Dante's configuration and of the account files it reads. Pure.

One sockd for all proxies: the exit address is the address that the client came to
(`external.rotation: same-same`). Dante takes SOCKS users for system users, so it gets account files
of its own in a private mount namespace. See sockd.conf(5), passwd(5), shadow(5).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

PORT = 1080
_FIRST_UID = 60_001


@dataclass(frozen=True)
class Account:
    """A SOCKS user. `hash` is a crypt(3) string; a cheap one, for it is checked at each CONNECT."""

    user: str
    hash: str


def dante_config(log: Path, addresses: list[str], port: int = PORT) -> str:
    """sockd.conf: user and password demanded, connects and disconnects logged, CONNECT only.

    The addresses are listed one by one: given as an interface, Dante asks the kernel for all its
    addresses several times in each request (10 ms of processor with 150 addresses, instead of 2).
    """
    internal = "\n".join(f"internal: {address} port = {port}" for address in addresses)
    external = "\n".join(f"external: {address}" for address in addresses)
    return f"""\
logoutput: {log}
{internal}
{external}
external.rotation: same-same
clientmethod: none
socksmethod: username
user.privileged: root
user.unprivileged: nobody
timeout.negotiate: 20
timeout.connect: 20
timeout.io: 600
client pass {{ from: 0.0.0.0/0 to: 0.0.0.0/0 log: error }}
socks pass {{
    from: 0.0.0.0/0 to: 0.0.0.0/0
    command: connect
    log: connect disconnect error
}}
socks block {{ from: 0.0.0.0/0 to: 0.0.0.0/0 log: connect error }}
"""


def passwd_file(users: list[str]) -> str:
    """Accounts as Dante sees them: root and nobody for itself, and the SOCKS users."""
    lines = ["root:x:0:0:root:/:/usr/sbin/nologin", "nobody:x:65534:65534::/:/usr/sbin/nologin"]
    lines += [
        f"{user}:x:{_FIRST_UID + number}:65534::/nonexistent:/usr/sbin/nologin"
        for number, user in enumerate(users)
    ]
    return "\n".join(lines) + "\n"


def shadow_file(accounts: list[Account]) -> str:
    """Password hashes; root and nobody have none that fits."""
    lines = ["root:*:19000::::::", "nobody:*:19000::::::"]
    lines += [f"{account.user}:{account.hash}:19000::::::" for account in accounts]
    return "\n".join(lines) + "\n"


def start_script(folder: Path, processes: int) -> str:
    """What runs in the private mount namespace: own account files over the host's, then Dante."""
    binds = "".join(f"mount --bind {folder}/{name} /etc/{name}\n" for name in ("passwd", "shadow"))
    return f"set -e\n{binds}exec danted -f {folder}/dante.conf -N {processes}\n"


def stop_rules(stopped: list[str]) -> str:
    """nft rules that make the proxies at these addresses look switched off: connections reset."""
    members = f"elements = {{ {', '.join(stopped)} }}" if stopped else ""
    return f"""\
table ip proxies
delete table ip proxies
table ip proxies {{
    set stopped {{ type ipv4_addr; {members} }}
    chain input {{
        type filter hook input priority filter
        ip daddr @stopped meta l4proto tcp reject with tcp reset
    }}
    chain output {{
        type filter hook output priority filter
        ip saddr @stopped tcp flags & rst == 0 meta l4proto tcp reject with tcp reset
    }}
}}
"""
