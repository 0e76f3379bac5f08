"""The inventory's types: what an operator may write, and nothing else.

Every field is checked here; what only the whole can show (an address twice, two clients on one
egress, too many mailboxes on a proxy) is checked in `inventory.rules`. Reading files, secrets and
error positions is `inventory.load`. The docstring below a field is its reference documentation
(docs/reference/inventory.md is generated from it). The types of fields are in `inventory.fields`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from inventory.fields import (
    Address,
    Allowed,
    Count,
    HostName,
    Id,
    Label,
    LocalPart,
    Network,
    Port,
    Seconds,
    SecretRef,
    Strict,
    WholeSeconds,
)
from inventory.health import Health
from inventory.mail import MailDefaults
from inventory.pacing import Pacing, TimeZone, Window
from inventory.prices import Costs
from inventory.retention import Retention
from inventory.warm_up import Warming, WarmUp


class LeaseSettings(Strict):
    """The arithmetic of leases; heartbeat < ttl - margin."""

    ttl_s: Annotated[Seconds, Field(ge=2, le=3600)] = 60
    """How long a lease holds, in seconds."""
    margin_s: Annotated[Seconds, Field(ge=0.5, le=600)] = 5
    """How much earlier the node stops, and later the controller takes over, in seconds."""
    heartbeat_s: Annotated[Seconds, Field(ge=0.2, le=600)] = 5
    """How often a node renews its lease, in seconds."""


class Limits(Strict):
    """Caps that the ledger holds over the whole fleet, all at once: the lowest wins. A day is the
    mailbox's local day, an hour begins with the full hour of UTC."""

    mailbox_per_hour: Annotated[Count, Field(ge=0, le=100_000)] = 10
    """Messages of one mailbox in an hour."""
    mailbox_per_day: Annotated[Count, Field(ge=0, le=100_000)] = 50
    """Messages of one mailbox in a day."""
    egress_per_hour: Annotated[Count, Field(ge=0, le=1_000_000)] = 100
    """Messages through one egress in an hour."""
    egress_per_day: Annotated[Count, Field(ge=0, le=1_000_000)] = 500
    """Messages through one egress in a day."""
    domain_per_day: Annotated[Count, Field(ge=0, le=10_000_000)] = 1500
    """Messages of all mailboxes of one domain in a day."""
    domain_provider_per_day: Annotated[Count, Field(ge=0, le=10_000_000)] = 5000
    """Messages of one domain to one provider in a day; above 5,000 Google's bulk rules apply."""
    provider_egress_per_hour: Annotated[Count, Field(ge=0, le=1_000_000)] = 100
    """Messages through one egress to one provider in an hour."""
    client_per_day: Annotated[Count, Field(ge=0, le=1_000_000_000)] | None = None
    """Messages of one client in a day; none: as many as its mailboxes may send."""
    mailboxes_per_egress: Annotated[Count, Field(ge=1, le=10)] = 10
    """Mailboxes that may share one egress."""
    mailboxes_per_domain: Annotated[Count, Field(ge=1, le=1000)] = 30
    """Mailboxes that one domain may have."""
    message_size_bytes: Annotated[Count, Field(ge=10_240, le=104_857_600)] = 10_485_760
    """The largest message that is accepted, in octets."""


class Fleet(Strict):
    """What holds for the whole fleet."""

    name: Id
    """The fleet's name; it stands in the Feedback-ID of mail."""
    lease: LeaseSettings = LeaseSettings()
    """Lease arithmetic."""
    limits: Limits = Limits()
    """Caps."""
    time_zone: TimeZone = "UTC"
    """Whose midnight ends a day, by whose clock windows open; clients and domains may differ."""
    pacing: Pacing = Pacing()
    """When mailboxes send."""
    warm_up: WarmUp = WarmUp()
    """How much what is warming may send."""
    health: Health = Health()
    """When mailboxes, egresses and domains are watched, slowed, paused and quarantined."""
    mail: MailDefaults = MailDefaults()
    """Retries and TLS."""
    retention: Retention = Retention()
    """How long mail that has ended is kept."""
    allow_target_nets: tuple[Network, ...] = ()
    """Networks the gateway may connect to although they are private or reserved (the lab's)."""
    dispatch_horizon_s: Annotated[WholeSeconds, Field(ge=0, le=86_400)] = 300
    """How long before its time a message may go to its node, in seconds."""
    moves_in_flight: Annotated[Count, Field(ge=1, le=1000)] = 20
    """How many egresses may be on their planned way between nodes at a time (drain, rebalance)."""
    probe_interval_s: Annotated[WholeSeconds, Field(ge=5, le=86_400)] = 300
    """How often each egress is probed, in seconds."""
    probe_target: (
        Annotated[
            str,
            StringConstraints(pattern=r"^[a-z0-9.-]{1,253}:\d{1,5}$"),
            Allowed("HOST:PORT of the controller's exit-address echo, as the proxies reach it"),
        ]
        | None
    ) = None
    """Where proxies reach the controller's exit-address echo; none: exit IPs are not checked."""
    costs: Costs = Costs()
    """Prices, for `postfleet cost` alone."""
    bounce_mx: HostName | None = None
    """The host that takes mail to the sending domains (bounces, replies); none: no MX records."""


class Client(Strict):
    """Whose mail it is. Clients never share an egress, a domain or a mailbox."""

    id: Id
    """Names the client everywhere."""
    name: Label
    """For people."""
    unsubscribe_url: Annotated[
        str,
        StringConstraints(pattern=r"^https://[^\s<>\x00-\x1f]+$", max_length=800),
        Allowed("an https:// URL without spaces, < and >"),
    ]
    """For one-click unsubscription (RFC 8058); the message id is appended."""
    unsubscribe_mailto: Annotated[
        str,
        StringConstraints(pattern=r"^[^\s<>@,]+@[^\s<>@,]+$", max_length=254),
        Allowed("a mail address"),
    ]
    """The address in the same header (List-Unsubscribe)."""
    priority: Annotated[Count, Field(ge=0, le=100)] = 0
    """Whose egresses are placed first when the nodes have no room for all, and whose messages get
    longer turns of the planner: a higher one."""
    time_zone: TimeZone | None = None
    """The client's time zone; none: the fleet's."""
    windows: tuple[Window, ...] | None = None
    """When its mailboxes may send; none: the fleet's windows."""
    per_day: Annotated[Count, Field(ge=0, le=1_000_000_000)] | None = None
    """Messages of this client in a day; none: the fleet's client_per_day."""


class Mailbox(Strict):
    """One sending address on a domain; belongs to exactly one egress."""

    local_part: LocalPart
    """What stands before the @."""
    name: Label
    """The display name recipients see."""
    egress: Id
    """The egress it sends through; one of the same client."""
    warming: Warming = ""
    """Whether it begins with a warm-up; with a day: where one that began then would be."""


class Domain(Strict):
    """A sending domain with its mailboxes."""

    name: HostName
    """The domain itself."""
    client: Id
    """Whose it is."""
    dkim_selector: Annotated[
        str,
        StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$"),
        Allowed("1 to 63 of a-z, 0-9 and -, not beginning with -"),
    ] = "pf1"
    """Selector of the DKIM key that the controller makes; a new selector makes a new key."""
    dmarc_policy: Literal["none", "quarantine", "reject"] = "none"
    """The p= of the DMARC record."""
    time_zone: TimeZone | None = None
    """The time zone of its mailboxes; none: the client's."""
    mailboxes: tuple[Mailbox, ...]
    """May be empty: a domain in reserve."""


class Socks5(Strict):
    """A SOCKS5 proxy (RFC 1928) with user name and password (RFC 1929)."""

    kind: Literal["socks5"]
    """socks5"""
    host: Annotated[
        str,
        StringConstraints(pattern=r"^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$"),
        Allowed("an IPv4 address or a DNS name in lower case"),
    ]
    """Where the nodes reach the proxy."""
    port: Port = 1080
    """Its TCP port."""
    username: Annotated[
        str,
        StringConstraints(pattern=r"^[\x21-\x7e]{1,255}$"),
        Allowed("1 to 255 printable ASCII characters without spaces"),
    ]
    """User name at the proxy."""
    password: SecretRef
    """Where the CLI finds the password; it is sealed in the database and never shown."""


class NodeAddress(Strict):
    """An address of one particular node; the egress can live nowhere else."""

    kind: Literal["address"]
    """address"""
    node: Id
    """The node that has the address."""


class Egress(Strict):
    """One exit identity, with what receivers see of it."""

    id: Id
    """Names the egress everywhere, also in Postfix (`egress-<id>`)."""
    client: Id
    """Whose mail it carries, and nobody else's."""
    public_ip: Address
    """What receivers see as the source address."""
    helo_name: HostName
    """EHLO name; the PTR of public_ip must name it, and its A record public_ip."""
    region: Label | None = None
    """Where it is; free text."""
    exit: Annotated[Socks5 | NodeAddress, Field(discriminator="kind")]
    """How mail gets there: `kind: socks5` or `kind: address`."""
    warming: Warming = ""
    """Whether it begins with a warm-up; with a day: where one that began then would be."""


class Node(Strict):
    """A VPS that runs Postfix and the agent."""

    id: Id
    """Names the node everywhere, also in its certificate."""
    address: Address
    """Where ssh reaches it."""
    hostname: HostName
    """The machine's own fully qualified name (Postfix's myhostname); receivers do not see it."""
    ssh_port: Port = 22
    """Port of sshd."""
    ssh_user: Annotated[
        str,
        StringConstraints(pattern=r"^[a-z_][a-z0-9_-]{0,31}$"),
        Allowed("a Unix user name"),
    ] = "root"
    """root, or a user who may sudo without a password."""
    host_key: Annotated[
        str,
        StringConstraints(
            pattern=r"^((ssh-ed25519|ssh-rsa|ecdsa-sha2-[a-z0-9-]+) [A-Za-z0-9+/]+=*"
            r"|file:[^\x00-\x1f\x7f]+|env:[A-Za-z_][A-Za-z0-9_]*)$"
        ),
        Allowed('a public key as "ssh-ed25519 AAAA…", or file:PATH or env:NAME that holds one'),
    ]
    """The pinned ssh host key; a machine that shows another one is refused."""
    capacity: Annotated[Count, Field(ge=1, le=10_000)] = 150
    """The most mailboxes it takes."""
    failure_domain: Label
    """What fails together with it: a provider, a site."""
    region: Label | None = None
    """Where it is; free text."""
    monthly_cost_eur: Annotated[float, Field(ge=0, strict=True)] = 0
    """What it costs, in euros a month."""


class Inventory(Strict):
    """The whole fleet, as one file describes it."""

    version: Literal[1]
    """Of this format; always 1."""
    fleet: Fleet
    """Settings of the whole fleet."""
    clients: tuple[Client, ...]
    """Whose mail it is."""
    domains: tuple[Domain, ...]
    """Sending domains with their mailboxes."""
    egresses: tuple[Egress, ...]
    """Exit identities."""
    nodes: tuple[Node, ...]
    """The machines."""
