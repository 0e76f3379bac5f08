"""The command line of postfleet-gateway, with what stands for it in the agent's configuration."""

from __future__ import annotations

import argparse
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from node_agent.gateway import systemd
from node_agent.gateway.config import CONFIG_PATH
from node_agent.gateway.errors import ConfigError
from node_agent.gateway.metrics import DEFAULT_PORT
from node_agent.local.gateway_client import GATEWAY_SOCKET
from node_agent.local.guard_paths import MARKS

_AGENT_TOML = Path("/etc/postfleet/agent.toml")


@dataclass(frozen=True)
class Options:
    """What main needs. `metrics` None: no metrics are served."""

    config: Path
    listen: tuple[str, int]
    control: Path
    control_users: tuple[str, ...]
    metrics: tuple[str, int] | None
    # None: nothing is noted (see marks.py).
    marks: Path | None


def parse(arguments: Sequence[str] | None = None) -> Options:
    """Parse the command line; exits with 2 and a message when it is wrong."""
    parser = argparse.ArgumentParser(
        prog="postfleet-gateway",
        description="The only door out of a node: carries Postfix's connections through their "
        "egress while the lease holds. Under systemd it takes its listeners from the socket unit.",
    )
    parser.add_argument("--config", type=Path, default=CONFIG_PATH, help="default: %(default)s")
    parser.add_argument(
        "--listen",
        default="127.0.0.1:10025",
        help="where nftables redirects to, without systemd; default: %(default)s",
    )
    parser.add_argument(
        "--control",
        type=Path,
        default=GATEWAY_SOCKET,
        help="control socket, without systemd; default: %(default)s",
    )
    parser.add_argument(
        "--control-user",
        action="append",
        help="who may use the control socket besides root; default: postfleet-agent",
    )
    parser.add_argument(
        "--metrics",
        help=f"HOST:PORT of the metrics, or none; default: port {DEFAULT_PORT} beside the "
        f"agent's metrics_listen in {_AGENT_TOML}, else on 127.0.0.1",
    )
    parser.add_argument(
        "--marks",
        help="directory where the egresses in use are noted for postfleet-apply's guard, or none; "
        f"default: {MARKS} under systemd, else none",
    )
    parsed = parser.parse_args(arguments)
    try:
        return Options(
            config=parsed.config,
            listen=_endpoint(parsed.listen),
            control=parsed.control,
            control_users=tuple(parsed.control_user or ("postfleet-agent",)),
            metrics=_metrics(parsed.metrics),
            marks=_marks(parsed.marks),
        )
    except ConfigError as error:
        parser.error(str(error))


def _marks(given: str | None) -> Path | None:
    if given is None:
        return MARKS if systemd.under_systemd() else None
    return None if given == "none" else Path(given)


def _metrics(given: str | None, agent_toml: Path = _AGENT_TOML) -> tuple[str, int] | None:
    if given == "none":
        return None
    if given is not None:
        return _endpoint(given)
    try:
        listen = tomllib.loads(agent_toml.read_text(encoding="utf-8")).get("metrics_listen")
    except (OSError, ValueError):
        listen = None  # its own reader complains; the way out does not wait for that
    host = _endpoint(listen)[0] if isinstance(listen, str) else "127.0.0.1"
    return host, DEFAULT_PORT


def _endpoint(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isdecimal() or not 0 <= int(port) <= 65535:
        raise ConfigError(f"{text!r} is not HOST:PORT")
    return host, int(port)
