"""The inventory's types: what an operator may write, and nothing else.

Every field is checked here; what only the whole can show (an address twice, two clients on one
egress, too many mailboxes on a proxy) is checked in `inventory.rules`. Reading files, secrets and
error positions is `inventory.load`.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Id = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,30}$")]
HostName = Annotated[
    str,
    StringConstraints(
        pattern=r"^(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
        r"(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)+$"
    ),
]
# RFC 5321 section 4.1.2 dot-atom, lower case, without "+": that is the recipient delimiter which
# carries the message's token. 37 octets leave room for the token within 64 (section 4.5.3.1.1).
LocalPart = Annotated[
    str, StringConstraints(pattern=r"^(?=.{1,37}$)[a-z0-9_-]+(\.[a-z0-9_-]+)*$")
]
SecretRef = Annotated[str, StringConstraints(pattern=r"^(env:[A-Za-z_][A-Za-z0-9_]*|file:.+)$")]
Label = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]{1,100}$")]
Port = Annotated[int, Field(ge=1, le=65535)]


class Strict(BaseModel):
    """Unknown fields are errors, values are never coerced silently, and models are immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class LeaseSettings(Strict):
    """Lease arithmetic (DESIGN, invariant 1). All in seconds; heartbeat < ttl - margin."""

    ttl_s: Annotated[float, Field(ge=2, le=3600)] = 60
    margin_s: Annotated[float, Field(ge=0.5, le=600)] = 5
    heartbeat_s: Annotated[float, Field(ge=0.2, le=600)] = 5


class Limits(Strict):
    """Caps held in the ledger. Counts are per local day (UTC until pacing brings time zones)."""

    mailbox_per_day: Annotated[int, Field(ge=0, le=100_000)] = 50
    egress_per_day: Annotated[int, Field(ge=0, le=1_000_000)] = 500
    mailboxes_per_egress: Annotated[int, Field(ge=1, le=10)] = 10
    mailboxes_per_domain: Annotated[int, Field(ge=1, le=1000)] = 30
    message_size_bytes: Annotated[int, Field(ge=10_240, le=104_857_600)] = 10_485_760


class MailDefaults(Strict):
    """Postfix's retry schedule and TLS of every egress transport (postconf(5))."""

    minimal_backoff_s: Annotated[int, Field(ge=1, le=86_400)] = 300
    maximal_backoff_s: Annotated[int, Field(ge=1, le=86_400)] = 4000
    queue_lifetime_s: Annotated[int, Field(ge=60, le=5_184_000)] = 172_800
    tls: Literal["may", "encrypt", "dane"] = "may"
    egress_concurrency: Annotated[int, Field(ge=1, le=100)] = 5


class Fleet(Strict):
    """What holds for the whole fleet."""

    name: Id
    lease: LeaseSettings = LeaseSettings()
    limits: Limits = Limits()
    mail: MailDefaults = MailDefaults()
    # Networks the gateway may connect to although they are private or reserved (the lab's).
    allow_target_nets: tuple[IPv4Network, ...] = ()
    # How long before not_before a message may go to its node.
    dispatch_horizon_s: Annotated[int, Field(ge=0, le=86_400)] = 300
    probe_interval_s: Annotated[int, Field(ge=5, le=86_400)] = 300
    # host:port at which the proxies reach the controller's exit-address echo; none: not checked.
    probe_target: Annotated[str, StringConstraints(pattern=r"^[a-z0-9.-]+:\d{1,5}$")] | None = None


class Client(Strict):
    """Whose mail it is. Clients never share an egress, a domain or a mailbox."""

    id: Id
    name: Label
    # https URL for RFC 8058 one-click unsubscription; the message id is appended.
    unsubscribe_url: Annotated[str, StringConstraints(pattern=r"^https://[^\s<>\x00-\x1f]+$")]
    # mailto address in the same header.
    unsubscribe_mailto: Annotated[str, StringConstraints(pattern=r"^[^\s<>@]+@[^\s<>@]+$")]


class Mailbox(Strict):
    """One sending address on a domain; belongs to exactly one egress."""

    local_part: LocalPart
    name: Label
    egress: Id


class Domain(Strict):
    """A sending domain with its mailboxes."""

    name: HostName
    client: Id
    dkim_selector: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")] = "pf1"
    dmarc_policy: Literal["none", "quarantine", "reject"] = "none"
    mailboxes: tuple[Mailbox, ...]


class Socks5(Strict):
    """A SOCKS5 proxy (RFC 1928) with user name and password (RFC 1929)."""

    kind: Literal["socks5"]
    host: Annotated[str, StringConstraints(pattern=r"^[a-z0-9.-]{1,253}$")]
    port: Port = 1080
    username: Annotated[str, StringConstraints(pattern=r"^[\x21-\x7e]{1,255}$")]
    password: SecretRef


class NodeAddress(Strict):
    """An address of one particular node; the egress can live nowhere else."""

    kind: Literal["address"]
    node: Id


class Egress(Strict):
    """One exit identity, with what receivers see of it."""

    id: Id
    client: Id
    public_ip: IPv4Address
    helo_name: HostName
    region: Label | None = None
    exit: Annotated[Socks5 | NodeAddress, Field(discriminator="kind")]


class Node(Strict):
    """A VPS. `capacity` in mailboxes; `host_key` pins its ssh key ("ssh-ed25519 AAAA…" or file:…)."""

    id: Id
    address: IPv4Address
    hostname: HostName
    ssh_port: Port = 22
    ssh_user: Annotated[str, StringConstraints(pattern=r"^[a-z_][a-z0-9_-]{0,31}$")] = "root"
    host_key: Annotated[
        str,
        StringConstraints(
            pattern=r"^((ssh-ed25519|ssh-rsa|ecdsa-sha2-\S+) [A-Za-z0-9+/=]+|file:.+|env:.+)$"
        ),
    ]
    capacity: Annotated[int, Field(ge=1, le=10_000)] = 150
    failure_domain: Label
    region: Label | None = None
    monthly_cost_eur: Annotated[float, Field(ge=0)] = 0


class Inventory(Strict):
    """The whole fleet, as one file describes it."""

    version: Literal[1]
    fleet: Fleet
    clients: tuple[Client, ...]
    domains: tuple[Domain, ...]
    egresses: tuple[Egress, ...]
    nodes: tuple[Node, ...]
