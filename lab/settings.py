"""What a lab is made of: names and numbers, and where its state stands. No I/O."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class LabSettings:
    """A lab to bring up.

    `name`: 1..12 of [a-z0-9]; labs of different names run side by side. `nodes` are called n1, n2,
    … and get the releases in turn. `var_mib` gives each node a /var of that size (0: unlimited)
    that can fill up. `proxies`, `dns`, `receivers` say which services to start.
    """

    name: str = "demo"
    nodes: int = 2
    proxies: int = 0
    dns: bool = False
    receivers: bool = False
    releases: tuple[str, ...] = ("bookworm", "trixie")
    var_mib: int = 0

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z][a-z0-9]{0,11}", self.name):
            raise ValueError(f"lab name {self.name!r}: 1 to 12 of a-z and 0-9, a letter first")
        if not 0 <= self.nodes <= 200:
            raise ValueError(f"{self.nodes} nodes: 0 to 200 are possible")

    @property
    def directory(self) -> Path:
        """Everything of this lab on disk: traces, node roots, logs, records."""
        return state_directory(self.name)

    def release(self, number: int) -> str:
        """Debian release of the n-th node (from 1)."""
        return self.releases[(number - 1) % len(self.releases)]


def state_directory(name: str) -> Path:
    """`.lab/<name>` in the checkout."""
    return CHECKOUT / ".lab" / name
