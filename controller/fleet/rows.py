"""What of the database an inventory decides, as plain rows: the two sides that `plan` compares.

Only what an operator writes; what the fleet itself does (assignments, cursors, generations) is not
in here. Rows compare by value, and a secret compares without being shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias


@dataclass(frozen=True)
class Secret:
    """A password in the open. Its text never appears in a repr, so not in logs either."""

    value: str = field(repr=False)


@dataclass(frozen=True)
class SettingsRow:
    """The fleet's settings (table setting, name "fleet"), as JSON data."""

    value: Mapping[str, Any]


@dataclass(frozen=True)
class ClientRow:
    """Table client. What the client leaves to the fleet or a domain to its client is filled in."""

    id: str
    name: str
    unsubscribe_url: str
    unsubscribe_mailto: str
    priority: int = 0
    time_zone: str = "UTC"
    windows: list[str] = field(default_factory=list)
    per_day: int | None = None


@dataclass(frozen=True)
class DomainRow:
    """Table domain."""

    name: str
    client_id: str
    dkim_selector: str
    dmarc_policy: str
    time_zone: str = "UTC"


@dataclass(frozen=True)
class EgressRow:
    """Table egress. `retired`: it left the inventory before, and a node had it."""

    id: str
    client_id: str
    public_ip: str
    helo_name: str
    region: str | None
    kind: str
    host: str | None
    port: int | None
    username: str | None
    password: Secret | None
    only_node: str | None
    retired: bool = False
    warming: str = ""


@dataclass(frozen=True)
class MailboxRow:
    """Table mailbox."""

    address: str
    domain: str
    client_id: str
    egress_id: str
    display_name: str
    warming: str = ""


@dataclass(frozen=True)
class NodeRow:
    """Table node."""

    id: str
    address: str
    hostname: str
    ssh_port: int
    ssh_user: str
    host_key: str
    capacity: int
    failure_domain: str
    region: str | None
    monthly_cost_eur: float


Row: TypeAlias = SettingsRow | ClientRow | DomainRow | EgressRow | MailboxRow | NodeRow


@dataclass(frozen=True)
class FleetRows:
    """A whole fleet, each kind by id (name, address)."""

    fleet: SettingsRow | None = None
    clients: Mapping[str, ClientRow] = field(default_factory=dict)
    domains: Mapping[str, DomainRow] = field(default_factory=dict)
    egresses: Mapping[str, EgressRow] = field(default_factory=dict)
    mailboxes: Mapping[str, MailboxRow] = field(default_factory=dict)
    nodes: Mapping[str, NodeRow] = field(default_factory=dict)
