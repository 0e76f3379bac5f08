"""Reads Dante's log: who connected through which proxy to where. A witness of its own.

Only connections that were made, ended, or were refused are of interest; the rest is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

_IP = r"\d+\.\d+\.\d+\.\d+"
_TIME = r"\((?P<at>\d+\.\d+)\) \S+: info: "
# pass(1): tcp/connect [: username%harbor@10.80.1.1.43596 198.51.100.1.1080
#   -> 198.51.100.1.43596 203.0.113.11.25
# The end of it has ']', and the octets that went each way before each pair of addresses.
_CONNECT = re.compile(
    _TIME + r"pass\(\d+\): tcp/connect (?P<mark>[\[\]]): (?:\d+ -> )?"
    rf"username%(?P<user>\S+)@(?P<client>{_IP})\.(?P<client_port>\d+) (?P<proxy>{_IP})\.\d+"
    rf" -> (?:\d+, \d+ -> )?(?P<exit>{_IP})\.\d+ (?P<target>{_IP})\.(?P<port>\d+)"
    r"(?: -> \d+: (?P<reason>.*))?$"
)
# block(1): tcp/accept ]: 10.80.1.1.43606 198.51.100.1.1080: error after reading 17 bytes …
# pass(1): tcp/accept ]: 0 -> 10.80.1.1.43618 198.51.100.1.1080 -> 0: remote peer error (…)
_REFUSED = re.compile(
    _TIME + r"(?:block|pass)\(\d+\): tcp/accept \]: (?:\d+ -> )?"
    rf"(?P<client>{_IP})\.(?P<client_port>\d+) (?P<proxy>{_IP})\.\d+(?: -> \d+)?: (?P<reason>.*)$"
)


@dataclass(frozen=True)
class Connection:
    """The beginning or the end of one connection through a proxy, or its refusal.

    `at` is seconds since the epoch; `proxy` is the address the client came to, `exit` the source
    address that the target saw. A refusal has neither user nor exit nor target.
    """

    at: float
    event: Literal["open", "close", "refused"]
    client: str
    client_port: int
    proxy: str
    user: str = ""
    exit: str = ""
    target: str = ""
    target_port: int = 0
    reason: str = ""


def read_log(path: Path) -> Iterator[Connection]:
    """The connections in the log, in order; none when there is no log yet."""
    if not path.exists():
        return
    with path.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            parsed = parse_line(line.rstrip("\n"))
            if parsed is not None:
                yield parsed


def parse_line(line: str) -> Connection | None:
    """One line; None when it tells of no connection through a proxy."""
    found = _CONNECT.search(line)
    if found is not None:
        return Connection(
            at=float(found["at"]),
            event="open" if found["mark"] == "[" else "close",
            client=found["client"],
            client_port=int(found["client_port"]),
            proxy=found["proxy"],
            user=found["user"],
            exit=found["exit"],
            target=found["target"],
            target_port=int(found["port"]),
            reason=found["reason"] or "",
        )
    found = _REFUSED.search(line)
    if found is None:
        return None
    return Connection(
        at=float(found["at"]),
        event="refused",
        client=found["client"],
        client_port=int(found["client_port"]),
        proxy=found["proxy"],
        reason=found["reason"],
    )
