"""Builds a NodeSpec. Pure and deterministic: the same parts and settings give the same octets.

Does not decide what a node holds (`controller.placement`), and validates nothing: inventory and
schema did, and postfleet-apply on the node does it again because it trusts nobody.
"""

from __future__ import annotations

from ipaddress import IPv4Address

from postfleet.v1 import spec_pb2

from controller.desired.parts import EgressPart, NodeParts
from inventory.schema import Fleet

_SURROGATES = IPv4Address("198.18.0.0")
_CONNECT_TIMEOUT_MS = 30_000
_TLS = {
    "may": spec_pb2.TLS_LEVEL_MAY,
    "encrypt": spec_pb2.TLS_LEVEL_ENCRYPT,
    "dane": spec_pb2.TLS_LEVEL_DANE,
}


def build_spec(parts: NodeParts, fleet: Fleet) -> spec_pb2.NodeSpec:
    """The spec of generation `parts.generation`; egresses and keys ordered by id and domain."""
    return spec_pb2.NodeSpec(
        generation=parts.generation,
        node_id=parts.node_id,
        hostname=parts.hostname,
        egresses=[
            _egress(part, fleet.mail.egress_concurrency)
            for part in sorted(parts.egresses, key=lambda part: part.id)
        ],
        dkim_keys=[
            spec_pb2.DkimKey(
                domain=key.domain, selector=key.selector, private_key_pem=key.private_key_pem
            )
            for key in sorted(parts.dkim_keys, key=lambda key: key.domain)
        ],
        mail=spec_pb2.MailSettings(
            message_size_limit=fleet.limits.message_size_bytes,
            minimal_backoff_s=fleet.mail.minimal_backoff_s,
            maximal_backoff_s=fleet.mail.maximal_backoff_s,
            queue_lifetime_s=fleet.mail.queue_lifetime_s,
            tls_level=_TLS[fleet.mail.tls],
        ),
        gateway=spec_pb2.GatewaySettings(
            allow_target_nets=[str(net) for net in fleet.allow_target_nets],
            connect_timeout_ms=_CONNECT_TIMEOUT_MS,
            probe_target=fleet.probe_target or "",
            probe_interval_s=fleet.probe_interval_s,
        ),
    )


def surrogate_address(index: int) -> str:
    """The `index`-th address of 198.18.0.0/15 (RFC 2544), 1..131070."""
    return str(_SURROGATES + index)


def _egress(part: EgressPart, max_concurrency: int) -> spec_pb2.Egress:
    egress = spec_pb2.Egress(
        id=part.id,
        client_id=part.client_id,
        surrogate_address=surrogate_address(part.surrogate_index),
        helo_name=part.helo_name,
        public_ip=part.public_ip,
        mailboxes=sorted(part.mailboxes),
        max_concurrency=max_concurrency,
    )
    if part.kind == "socks5":
        egress.socks5.host = part.host
        egress.socks5.port = part.port
        egress.socks5.username = part.username
        egress.socks5.password = part.password
    else:
        egress.address.address = part.public_ip
    return egress
