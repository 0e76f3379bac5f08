"""Names and addresses by which this machine's controller is reached: SANs of its certificate."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
from collections.abc import Iterable

_EVERY = frozenset({"0.0.0.0", "::", ""})  # noqa: S104 (compared with, not listened on)


def server_names(listen_host: str, more: Iterable[str] = ()) -> list[str]:
    """DNS names and IP addresses, without repetition, the same order every time."""
    names = ["localhost", "127.0.0.1", "::1", socket.gethostname()]
    names += own_addresses() if listen_host in _EVERY else [listen_host]
    return list(dict.fromkeys([*more, *names]))


def own_addresses() -> list[str]:
    """The machine's global addresses as ip(8) shows them; none where there is no ip(8)."""
    if shutil.which("ip") is None:
        return []
    shown = subprocess.run(
        ["ip", "-json", "address", "show", "scope", "global"],
        capture_output=True,
        text=True,
        check=False,
    )
    if shown.returncode != 0:
        return []
    links = json.loads(shown.stdout or "[]")
    return [info["local"] for link in links for info in link.get("addr_info", ())]
