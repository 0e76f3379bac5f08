"""Reads /etc/postfleet/gateway/egresses.json, which postfleet-apply writes (0640
root:postfleet-gateway, it holds proxy passwords) before it sends SIGHUP.

    {"version": 1, "generation": 12, "connect_timeout_ms": 10000,
     "allow_target_nets": ["203.0.113.0/24"],
     "egresses": [
       {"id": "e1", "surrogate_address": "198.18.0.1",
        "socks5": {"host": "proxy.example.net", "port": 1080, "username": "u", "password": "p"}},
       {"id": "e2", "surrogate_address": "198.18.0.2", "address": "192.0.2.7"}]}

apply builds a GatewayConfig and writes `to_json(config)`, so there is one shape. Everything is
checked, all problems are named at once, and no message repeats a value (it may be a password).
"""

from __future__ import annotations

from functools import cached_property
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from node_agent.gateway.errors import ConfigError

CONFIG_PATH = Path("/etc/postfleet/gateway/egresses.json")
SURROGATES = IPv4Network("198.18.0.0/15")
# At this address the gateway answers SMTP itself (apply's probe); it is no egress's surrogate.
PROBE_ADDRESS = IPv4Address("198.18.255.254")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Socks5Proxy(_Strict):
    """A SOCKS5 server. Both username and password empty: no authentication is offered."""

    # IPv4 address or DNS name.
    host: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9.-]{1,253}$")]
    port: Annotated[int, Field(ge=1, le=65535)]
    # RFC 1929: 1..255 octets each.
    username: str = ""
    password: Annotated[str, Field(repr=False)] = ""

    @model_validator(mode="after")
    def _fits_rfc_1929(self) -> Self:
        if bool(self.username) != bool(self.password):
            raise ValueError("username and password: give both or none")
        if max(len(self.username.encode()), len(self.password.encode())) > 255:
            raise ValueError("username and password: at most 255 octets each (RFC 1929)")
        return self


class EgressConfig(_Strict):
    """One exit: through `socks5`, or from `address`, an address of this node."""

    id: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,30}$")]
    surrogate_address: IPv4Address
    socks5: Socks5Proxy | None = None
    address: IPv4Address | None = None

    @model_validator(mode="after")
    def _is_one_exit_at_a_surrogate(self) -> Self:
        if (self.socks5 is None) == (self.address is None):
            raise ValueError("exactly one of socks5 and address must be given")
        if self.surrogate_address not in SURROGATES:
            raise ValueError(f"surrogate_address must be within {SURROGATES}")
        if self.surrogate_address == PROBE_ADDRESS:
            raise ValueError(f"surrogate_address {PROBE_ADDRESS} is the probe's")
        return self


class GatewayConfig(_Strict):
    """The whole file."""

    version: Literal[1] = 1
    # NodeSpec.generation this was made from; shown in GatewayStatus.
    generation: Annotated[int, Field(ge=0)] = 0
    # Milliseconds for name lookup, proxy connect, SOCKS dialogue and target connect together.
    connect_timeout_ms: Annotated[int, Field(ge=100, le=300_000)] = 30_000
    allow_target_nets: tuple[IPv4Network, ...] = ()
    egresses: tuple[EgressConfig, ...] = ()

    @model_validator(mode="after")
    def _names_nothing_twice(self) -> Self:
        ids: set[str] = set()
        surrogates: set[IPv4Address] = set()
        for egress in self.egresses:
            if egress.id in ids or egress.surrogate_address in surrogates:
                raise ValueError(f"egress {egress.id}: its id or surrogate address appears twice")
            ids.add(egress.id)
            surrogates.add(egress.surrogate_address)
        return self

    @cached_property
    def by_surrogate(self) -> dict[str, EgressConfig]:
        """Egresses by surrogate address as the kernel prints it."""
        return {str(egress.surrogate_address): egress for egress in self.egresses}


def to_json(config: GatewayConfig) -> str:
    """Return the file's content. `read(to_json(config)) == config`."""
    return config.model_dump_json(indent=1, exclude_none=True) + "\n"


def read(text: str | bytes, source: str = CONFIG_PATH.name) -> GatewayConfig:
    """Parse and check the file's content. Raises ConfigError naming every problem at once."""
    try:
        return GatewayConfig.model_validate_json(text)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(str(part) for part in item['loc']) or 'file'}: {item['msg']}"
            for item in error.errors(include_input=False, include_context=False, include_url=False)
        )
        raise ConfigError(f"{source}: {problems}") from None


def load(path: Path = CONFIG_PATH) -> GatewayConfig:
    """Read the file from disk. Raises ConfigError."""
    try:
        text = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}") from error
    return read(text, str(path))
