"""The agent's configuration, /etc/postfleet/agent.toml: written by provisioning, read once.

Only `node_id` and `controller` have no default. Secrets are not in it: the node's key is a file
of its own. What changes while the node runs comes in the NodeSpec instead.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from node_agent.agent.errors import ConfigError
from node_agent.local.guard_paths import HELD

Endpoint = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9.-]+:\d{1,5}$")]
ETC = Path("/etc/postfleet")


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TlsFiles(_Table):
    """PEM files of the mTLS connection to the controller."""

    key: Path = ETC / "tls/node.key"
    certificate: Path = ETC / "tls/node.pem"
    ca: Path = ETC / "tls/ca.pem"


class SpoolSettings(_Table):
    """Where the spool lives and when it refuses new work."""

    directory: Path = Path("/var/lib/postfleet-agent")
    # Messages that Postfix does not have yet; more is refused with too-many.
    max_messages: Annotated[int, Field(ge=1, le=1_000_000)] = 50_000
    # Octets that must stay free on its file system, else new work is refused with disk-full.
    min_free_octets: Annotated[int, Field(ge=0)] = 64 * 1024 * 1024
    # Octets kept back in a file, given up when the disk is full, so that outcomes can be recorded.
    reserve_octets: Annotated[int, Field(ge=0)] = 16 * 1024 * 1024


class PostfixSettings(_Table):
    """How to reach the node's Postfix."""

    intake: Endpoint = "127.0.0.1:10587"
    log: Path = Path("/var/log/postfleet/mail.log")
    # Octets that must be free for it, else nothing is sent: what it does not tell nobody knows.
    min_log_octets: Annotated[int, Field(ge=0)] = 8 * 1024 * 1024
    postqueue: tuple[str, ...] = ("/usr/sbin/postqueue", "-j")
    # Where postfleet-apply's guard says what it held, and why.
    guard_reports: Path = HELD
    # SMTP connections to the intake at one time, and messages marked at once on each.
    connections: Annotated[int, Field(ge=1, le=32)] = 8
    batch: Annotated[int, Field(ge=1, le=500)] = 20
    # Seconds between looks at the queue (load figures, messages that vanished).
    queue_interval_s: Annotated[float, Field(ge=0.2, le=3600)] = 30


class AgentConfig(_Table):
    """The whole file."""

    node_id: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,30}$")]
    controller: Endpoint
    metrics_listen: Endpoint = "127.0.0.1:9601"
    gateway_socket: Path = Path("/run/postfleet-gateway/control.sock")
    apply_socket: Path = Path("/run/postfleet-apply.sock")
    tls: TlsFiles = TlsFiles()
    spool: SpoolSettings = SpoolSettings()
    postfix: PostfixSettings = PostfixSettings()


def load(path: Path) -> AgentConfig:
    """Read the file. Raises ConfigError that names file, key and what is wrong with it."""
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path}: {error}; the agent does not start without it") from error
    try:
        return AgentConfig.model_validate(data)
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(map(str, e['loc']))}: {e['msg']} (is {e.get('input')!r})"
            for e in error.errors()
        )
        raise ConfigError(f"{path}: {wrong}") from error


def host_and_port(endpoint: str) -> tuple[str, int]:
    """Split "host:port"."""
    host, _, port = endpoint.rpartition(":")
    return host, int(port)
