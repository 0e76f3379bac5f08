"""From the protobuf message to the checked model. Pure; names all errors at once.

Error texts name the field and what is allowed, never the value: a value may be a secret.
"""

from __future__ import annotations

from typing import Any

from postfleet.v1 import spec_pb2
from pydantic import ValidationError

from node_agent.apply.errors import ValidationFailed
from node_agent.apply.model import NodeSpec

# More errors than this help nobody.
_ERRORS_SHOWN = 20

_TLS_LEVELS = {
    spec_pb2.TLS_LEVEL_MAY: "may",
    spec_pb2.TLS_LEVEL_ENCRYPT: "encrypt",
    spec_pb2.TLS_LEVEL_DANE: "dane",
}


def read_spec(message: spec_pb2.NodeSpec) -> NodeSpec:
    """Return `message` as a model in which every field holds what its type says."""
    try:
        return NodeSpec.model_validate(_spec(message))
    except ValidationError as error:
        problems = [
            f"{'.'.join(str(part) for part in problem['loc']) or 'spec'}: {problem['msg']}"
            for problem in error.errors(include_input=False, include_url=False)
        ]
        shown = "; ".join(problems[:_ERRORS_SHOWN])
        more = len(problems) - _ERRORS_SHOWN
        raise ValidationFailed(
            f"generation {message.generation} is refused: {shown}"
            + (f"; and {more} more" if more > 0 else "")
        ) from None


def _spec(message: spec_pb2.NodeSpec) -> dict[str, Any]:
    return {
        "generation": message.generation,
        "node_id": message.node_id,
        "hostname": message.hostname,
        "egresses": [_egress(egress) for egress in message.egresses],
        "dkim_keys": [
            {
                "domain": key.domain,
                "selector": key.selector,
                "private_key_pem": key.private_key_pem,
            }
            for key in message.dkim_keys
        ],
        "mail": {
            "message_size_limit": message.mail.message_size_limit,
            "minimal_backoff_s": message.mail.minimal_backoff_s,
            "maximal_backoff_s": message.mail.maximal_backoff_s,
            "queue_lifetime_s": message.mail.queue_lifetime_s,
            "tls_level": _TLS_LEVELS.get(message.mail.tls_level, "unspecified"),
        },
        "gateway": {
            "allow_target_nets": list(message.gateway.allow_target_nets),
            "connect_timeout_ms": message.gateway.connect_timeout_ms,
            "probe_target": message.gateway.probe_target,
            "probe_interval_s": message.gateway.probe_interval_s,
        },
    }


def _egress(egress: spec_pb2.Egress) -> dict[str, Any]:
    return {
        "id": egress.id,
        "client_id": egress.client_id,
        "surrogate_address": egress.surrogate_address,
        "helo_name": egress.helo_name,
        "public_ip": egress.public_ip,
        "exit": _exit(egress),
        "mailboxes": list(egress.mailboxes),
        "max_concurrency": egress.max_concurrency,
    }


def _exit(egress: spec_pb2.Egress) -> dict[str, Any]:
    kind = egress.WhichOneof("exit")
    if kind == "socks5":
        exit_ = egress.socks5
        return {
            "kind": "socks5",
            "host": exit_.host,
            "port": exit_.port,
            "username": exit_.username,
            "password": exit_.password,
        }
    if kind == "address":
        return {"kind": "address", "address": egress.address.address}
    return {"kind": "none"}
