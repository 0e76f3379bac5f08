"""Where everything lies on a node. Pure: names only, nothing is read or made.

    /etc/postfleet/generations/<generation>-<random>/   one complete rendered generation
    /etc/postfleet/current -> generations/…             the one that holds; swapped by one rename
    /etc/postfleet/previous -> generations/…            the one before it, for people
    /etc/postfleet/pending.json                         a swap that is not proven yet (journal)

What others read at fixed paths (/etc/postfix/main.cf, /etc/postfleet/gateway/egresses.json, …) are
symbolic links through `current`, so all of it changes in the same instant.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

SURROGATE_NETWORK = IPv4Network("198.18.0.0/15")
# At this address (port 25) the gateway itself answers SMTP.
PROBE_ADDRESS = IPv4Address("198.18.255.254")
INTAKE_ADDRESS = IPv4Address("127.0.0.1")
INTAKE_PORT = 10587
GATEWAY_PORT = 10025
SMTP_PORTS = (25, 465, 587)
AGENT_USER = "postfleet-agent"
GATEWAY_USER = "postfleet-gateway"
POSTFIX_USER = "postfix"
OPENDKIM_USER = "opendkim"


@dataclass(frozen=True)
class Layout:
    """All paths. `root` is / on a node; another one in tests that need no services."""

    root: Path = Path("/")

    @property
    def home(self) -> Path:
        return self.root / "etc/postfleet"

    @property
    def generations(self) -> Path:
        return self.home / "generations"

    @property
    def current(self) -> Path:
        return self.home / "current"

    @property
    def previous(self) -> Path:
        return self.home / "previous"

    @property
    def journal(self) -> Path:
        return self.home / "pending.json"

    @property
    def lock(self) -> Path:
        return self.home / "apply.lock"

    @property
    def agent_config(self) -> Path:
        return self.home / "agent.toml"

    @property
    def mail_log(self) -> Path:
        return self.root / "var/log/postfleet/mail.log"

    @property
    def queue(self) -> Path:
        return self.root / "var/spool/postfix"

    @property
    def master_pid(self) -> Path:
        return self.queue / "pid/master.pid"

    @property
    def nftables(self) -> Path:
        return self.root / "run/postfleet-net/nftables.conf"

    @property
    def opendkim_socket(self) -> Path:
        return self.root / "run/opendkim/opendkim.sock"

    @property
    def links(self) -> dict[Path, str]:
        """Fixed path -> file within a generation that it shows."""
        return {
            self.root / "etc/postfix/main.cf": "postfix/main.cf",
            self.root / "etc/postfix/master.cf": "postfix/master.cf",
            self.home / "gateway/egresses.json": "gateway/egresses.json",
            self.root / "etc/logrotate.d/postfleet": "logrotate",
            self.home / "applied.spec": "applied.spec",
        }
