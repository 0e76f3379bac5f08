"""The gRPC server: mTLS only, health, reflection, authorisation before every method."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from controller.keys.authority import FleetCa
from controller.serving.errors import AddressInUse
from controller.serving.interceptor import Authorise
from controller.serving.names import server_names
from controller.serving.settings import Endpoint
from controller.store import Store

# The largest mail the schema allows, or an inventory of 100,000 mailboxes, and some room.
_MAX_MESSAGE_OCTETS = 112 * 1024 * 1024
_OPTIONS: list[tuple[str, Any]] = [
    ("grpc.max_receive_message_length", _MAX_MESSAGE_OCTETS),
    ("grpc.max_send_message_length", -1),
    # Two controllers on one port would share its connections silently.
    ("grpc.so_reuseport", 0),
    # Find peers that vanished without a word; let them look for us as often.
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 1_000),
    ("grpc.http2.max_ping_strikes", 0),
    # No probing for the window with a ping for nearly every message (node_agent's dial says more).
    ("grpc.http2.lookahead_bytes", 1024 * 1024),
    ("grpc.http2.bdp_probe", 0),
]

Register = Callable[[grpc.aio.Server], None]


class RpcServer:
    """Made with the services to serve; `start` binds, `stop` lets calls end."""

    def __init__(
        self,
        store: Store,
        ca: FleetCa,
        listen: Endpoint,
        names: Sequence[str],
        services: Sequence[tuple[str, Register]],
    ) -> None:
        self._listen = listen
        self._health = health.aio.HealthServicer()
        self._services = [name for name, _ in services]
        self._server = grpc.aio.server(interceptors=[Authorise(store)], options=_OPTIONS)
        for _, register in services:
            register(self._server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        reflection.enable_server_reflection(
            [*self._services, health.SERVICE_NAME, reflection.SERVICE_NAME], self._server
        )
        issued = ca.issue_server(server_names(listen.host, names))
        self._credentials = grpc.ssl_server_credentials(
            [(issued.key_pem, issued.certificate_pem)],
            root_certificates=ca.pem,
            require_client_auth=True,
        )

    async def start(self) -> int:
        """Begins to serve; gives the port. Raises AddressInUse."""
        try:
            port = self._server.add_secure_port(str(self._listen), self._credentials)
        except RuntimeError as error:
            raise AddressInUse(
                f"cannot listen on {self._listen} for gRPC: {error}. Is another controller "
                "running there? --listen takes another address"
            ) from error
        await self._server.start()
        for service in ("", *self._services):
            await self._health.set(service, health_pb2.HealthCheckResponse.SERVING)
        return int(port)

    async def stop(self, grace_s: float) -> None:
        """Says NOT_SERVING, takes no new calls, gives running ones `grace_s` seconds."""
        await self._health.enter_graceful_shutdown()
        await self._server.stop(grace_s)
