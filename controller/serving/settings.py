"""What `postfleet controller run` is told."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Endpoint:
    """Where to listen. Port 0: any free one."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Endpoint:
        """From HOST:PORT or [IPv6]:PORT. Raises ValueError."""
        host, colon, port = text.rpartition(":")
        host = host.removeprefix("[").removesuffix("]")
        if not colon or not host or not port.isdigit() or int(port) > 65535:
            raise ValueError(f"{text!r} is not HOST:PORT (a port is 0 to 65535)")
        return cls(host, int(port))

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True)
class RunSettings:
    """`dsn` None: an embedded PostgreSQL in state_dir/pg. `names`: more names of this machine."""

    state_dir: Path
    listen: Endpoint
    metrics: Endpoint | None = None
    probe_echo: Endpoint | None = None
    dsn: str | None = None
    names: tuple[str, ...] = ()
    # Seconds for which a node that is in the inventory and never connected is counted on.
    join_grace_s: float = 600.0
    # An operator's shaping rules and table of MX hosts, over the shipped ones.
    shaping: Path | None = None
    providers: Path | None = None
    # Resolvers to ask for MX hosts in place of the system's.
    dns: tuple[Endpoint, ...] = ()
