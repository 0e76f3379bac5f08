"""The model in, all files of one generation out. Deterministic; writes nothing; the home of Jinja2.

Autoescape is off (nothing here is HTML) and StrictUndefined on (a forgotten input is an error, not
an empty value); the model is what keeps a value from being more than a value. Templates are part of
the installed package, so root owns them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, TemplateError

from node_agent.apply import layout as names
from node_agent.apply.errors import RenderFailed
from node_agent.apply.layout import Layout
from node_agent.apply.model import AddressExit, Egress, NodeSpec
from node_agent.gateway.config import EgressConfig, GatewayConfig, Socks5Proxy, to_json

TEMPLATES = Path(__file__).parents[2] / "templates" / "postfix"


@dataclass(frozen=True)
class RenderedFile:
    """One file of a generation; the group is a name, looked up when it is written."""

    content: bytes
    mode: int = 0o644
    group: str = "root"


Rendered = dict[str, RenderedFile]
"""Path within the generation -> file."""


def render(spec: NodeSpec, applied_spec: bytes, layout: Layout) -> Rendered:
    """Return every file of this generation. `applied_spec` is the serialized NodeSpec itself."""
    files = {
        f"postfix/{name}": RenderedFile(_template(name, spec, layout))
        for name in ("main.cf", "master.cf", "sender_transport", "senders")
    }
    files |= {
        f"opendkim/{name}": RenderedFile(_template(name, spec, layout))
        for name in ("opendkim.conf", "KeyTable", "SigningTable")
    }
    for key in spec.dkim_keys:
        files[f"opendkim/keys/{key.domain}"] = RenderedFile(
            key.private_key_pem.encode(), 0o640, names.OPENDKIM_USER
        )
    files["gateway/egresses.json"] = RenderedFile(
        to_json(_gateway_config(spec)).encode(), 0o640, names.GATEWAY_USER
    )
    files["logrotate"] = RenderedFile(_template("logrotate", spec, layout))
    files["applied.spec"] = RenderedFile(applied_spec, 0o600)
    return files


def render_nftables(layout: Layout) -> bytes:
    """Return the firewall rules; they depend on no spec."""
    return _template("nftables.conf", None, layout)


def _template(name: str, spec: NodeSpec | None, layout: Layout) -> bytes:
    try:
        text = (
            _environment()
            .get_template(f"{name}.j2")
            .render(
                spec=spec,
                layout=layout,
                probe_address=names.PROBE_ADDRESS,
                surrogate_network=names.SURROGATE_NETWORK,
                smtp_ports=names.SMTP_PORTS,
                gateway_port=names.GATEWAY_PORT,
                intake_address=names.INTAKE_ADDRESS,
                intake_port=names.INTAKE_PORT,
                agent_user=names.AGENT_USER,
                agent_group=names.AGENT_USER,
                gateway_user=names.GATEWAY_USER,
                postfix_user=names.POSTFIX_USER,
            )
        )
    except TemplateError as error:
        raise RenderFailed(
            f"template {name}.j2: {error}; nothing was touched; "
            "the package on this node is damaged or of mixed versions"
        ) from error
    return text.encode()


@cache
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=False,  # noqa: S701 - configuration files, not HTML
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def _gateway_config(spec: NodeSpec) -> GatewayConfig:
    return GatewayConfig(
        generation=spec.generation,
        connect_timeout_ms=spec.gateway.connect_timeout_ms,
        allow_target_nets=spec.gateway.allow_target_nets,
        egresses=tuple(_gateway_egress(egress) for egress in spec.egresses),
    )


def _gateway_egress(egress: Egress) -> EgressConfig:
    if isinstance(egress.exit, AddressExit):
        return EgressConfig(
            id=egress.id,
            surrogate_address=egress.surrogate_address,
            address=egress.exit.address,
        )
    return EgressConfig(
        id=egress.id,
        surrogate_address=egress.surrogate_address,
        socks5=Socks5Proxy(
            host=egress.exit.host,
            port=egress.exit.port,
            username=egress.exit.username,
            password=egress.exit.password,
        ),
    )
