"""The mTLS channel to the controller."""

from __future__ import annotations

import grpc
import grpc.aio

from node_agent.agent.config import AgentConfig
from node_agent.agent.errors import ConfigError

# A Dispatch carries at least one whole message, whose limit is 100 MiB (spec.proto).
_MAX_MESSAGE_OCTETS = 112 * 1024 * 1024
OPTIONS = [
    ("grpc.max_receive_message_length", _MAX_MESSAGE_OCTETS),
    ("grpc.max_send_message_length", _MAX_MESSAGE_OCTETS),
    # A controller whose machine is gone sends no FIN.
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.http2.max_pings_without_data", 0),
    # The window is as large as mail needs over a long way, and stays so: gRPC would probe for it
    # with a ping for nearly every message, which costs either side as much as the message.
    ("grpc.http2.lookahead_bytes", 4 * 1024 * 1024),
    ("grpc.http2.bdp_probe", 0),
    # Reconnecting is ours, with our own back-off.
    ("grpc.enable_retries", 0),
]


def channel(config: AgentConfig) -> grpc.aio.Channel:
    """A new channel; the files are read each time, so a new certificate is taken up."""
    tls = config.tls
    try:
        credentials = grpc.ssl_channel_credentials(
            root_certificates=tls.ca.read_bytes(),
            private_key=tls.key.read_bytes(),
            certificate_chain=tls.certificate.read_bytes(),
        )
    except OSError as error:
        raise ConfigError(f"cannot read {error.filename}: {error.strerror}") from error
    return grpc.aio.secure_channel(config.controller, credentials, options=OPTIONS)
