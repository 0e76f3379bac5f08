"""The spec as postfleet-apply believes it: every field checked as hostile data.

A NodeSpec comes from the network by way of an unprivileged process. What passes here may be written
into configuration files of root; so no string holds a control character, names are of the narrowest
alphabet, and what must be unique is. Rendering relies on this and quotes nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    TypeAdapter,
    model_validator,
)

from inventory.fields import HostName, Id, LocalPart
from node_agent.apply.layout import PROBE_ADDRESS, SURROGATE_NETWORK
from node_agent.apply.private_key import rsa_key_problem

_LOCAL_PART: TypeAdapter[str] = TypeAdapter(LocalPart)
_HOST_NAME: TypeAdapter[str] = TypeAdapter(HostName)


def _plain(value: str) -> str:
    """Refuse control, format and line-breaking characters, in whatever script."""
    if not value.isprintable():
        raise ValueError("holds a control character or a line break")
    return value


def _credential(value: str) -> str:
    octets = len(_plain(value).encode())
    if octets > 255:
        raise ValueError(f"has {octets} octets; RFC 1929 allows 255")
    return value


def _mailbox(value: str) -> str:
    local_part, at, domain = _plain(value).rpartition("@")
    if not at:
        raise ValueError("is no address (local@domain)")
    _LOCAL_PART.validate_python(local_part)
    _HOST_NAME.validate_python(domain)
    return value


def _surrogate(value: IPv4Address) -> IPv4Address:
    if value not in SURROGATE_NETWORK or value == PROBE_ADDRESS:
        raise ValueError(f"is not in {SURROGATE_NETWORK} or is {PROBE_ADDRESS}, the probe's")
    if value in (SURROGATE_NETWORK.network_address, SURROGATE_NETWORK.broadcast_address):
        raise ValueError(f"is the first or last address of {SURROGATE_NETWORK}")
    return value


def _unicast(value: IPv4Address) -> IPv4Address:
    if (
        value.is_unspecified
        or value.is_multicast
        or value.is_loopback
        or value in SURROGATE_NETWORK
    ):
        raise ValueError("is no address that a receiver could see")
    return value


def _pem(value: str) -> str:
    problem = rsa_key_problem(value)
    if problem:
        raise ValueError(problem)
    return value


def _host_port(value: str) -> str:
    host, _, port = value.rpartition(":")
    if value and not (1 <= int(port) <= 65535 and host):
        raise ValueError("is no host:port")
    return value


Credential = Annotated[str, AfterValidator(_credential)]
MailboxAddress = Annotated[str, AfterValidator(_mailbox)]
SurrogateAddress = Annotated[IPv4Address, AfterValidator(_surrogate)]
UnicastAddress = Annotated[IPv4Address, AfterValidator(_unicast)]
ProxyHost = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$")]
Selector = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
PrivateKeyPem = Annotated[str, Field(max_length=20_000, repr=False), AfterValidator(_pem)]
HostPort = Annotated[
    str, StringConstraints(pattern=r"^([a-z0-9.-]{1,253}:[0-9]{1,5})?$"), AfterValidator(_host_port)
]


class Strict(BaseModel):
    """Unknown fields are errors and models are immutable; input never stands in an error text."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Socks5Exit(Strict):
    """Out through a SOCKS5 proxy; user name and password both or neither."""

    kind: Literal["socks5"] = "socks5"
    host: ProxyHost
    port: Annotated[int, Field(ge=1, le=65535)]
    username: Credential
    password: Annotated[Credential, Field(repr=False)]

    @model_validator(mode="after")
    def _both_or_neither(self) -> Self:
        if bool(self.username) != bool(self.password):
            raise ValueError("has a user name without a password, or the reverse")
        return self


class AddressExit(Strict):
    """Out from an address of this machine."""

    kind: Literal["address"] = "address"
    address: UnicastAddress


class Egress(Strict):
    """One exit identity, its transport and its mailboxes."""

    id: Id
    client_id: Id
    surrogate_address: SurrogateAddress
    helo_name: HostName
    public_ip: UnicastAddress
    exit: Annotated[Socks5Exit | AddressExit, Field(discriminator="kind")]
    mailboxes: Annotated[tuple[MailboxAddress, ...], Field(max_length=1000)]
    max_concurrency: Annotated[int, Field(ge=1, le=100)]


class DkimKey(Strict):
    """The signing key of one domain."""

    domain: HostName
    selector: Selector
    private_key_pem: PrivateKeyPem


class MailSettings(Strict):
    """Limits and retry schedule of Postfix; times in seconds, sizes in octets."""

    message_size_limit: Annotated[int, Field(ge=10_240, le=104_857_600)]
    minimal_backoff_s: Annotated[int, Field(ge=1, le=86_400)]
    maximal_backoff_s: Annotated[int, Field(ge=1, le=86_400)]
    queue_lifetime_s: Annotated[int, Field(ge=60, le=5_184_000)]
    tls_level: Literal["may", "encrypt", "dane"]

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.minimal_backoff_s > self.maximal_backoff_s:
            raise ValueError("minimal_backoff_s is above maximal_backoff_s")
        return self


class GatewaySettings(Strict):
    """What the gateway and the agent's probes are told."""

    allow_target_nets: Annotated[tuple[IPv4Network, ...], Field(max_length=1000)]
    connect_timeout_ms: Annotated[int, Field(ge=100, le=300_000)]
    probe_target: HostPort
    probe_interval_s: Annotated[int, Field(ge=1, le=86_400)]


class NodeSpec(Strict):
    """The whole desired state of this node."""

    generation: Annotated[int, Field(ge=1, le=2**63 - 1)]
    node_id: Id
    hostname: HostName
    egresses: Annotated[tuple[Egress, ...], Field(max_length=10_000)]
    dkim_keys: Annotated[tuple[DkimKey, ...], Field(max_length=10_000)]
    mail: MailSettings
    gateway: GatewaySettings

    @model_validator(mode="after")
    def _whole(self) -> Self:
        _unique("egress id", (egress.id for egress in self.egresses))
        _unique("surrogate address", (egress.surrogate_address for egress in self.egresses))
        _unique("public address", (egress.public_ip for egress in self.egresses))
        _unique("EHLO name", (egress.helo_name for egress in self.egresses))
        _unique("mailbox", (box for egress in self.egresses for box in egress.mailboxes))
        _unique("DKIM key for domain", (key.domain for key in self.dkim_keys))
        keyed = {key.domain for key in self.dkim_keys}
        unsigned = {
            box for egress in self.egresses for box in egress.mailboxes if _domain(box) not in keyed
        }
        if unsigned:
            raise ValueError(
                f"no DKIM key for the domain of {min(unsigned)} (and {len(unsigned) - 1} more): "
                "its mail would go out unsigned"
            )
        return self


def _domain(mailbox: str) -> str:
    return mailbox.rpartition("@")[2]


def _unique(what: str, values: Iterable[object]) -> None:
    twice = sorted(str(value) for value, count in Counter(values).items() if count > 1)
    if twice:
        raise ValueError(f"{what} {twice[0]} appears more than once")
