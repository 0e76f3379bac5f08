"""Metrics for Prometheus, and what it should scrape, over plain HTTP: GET, one to a connection.

    /metrics   this controller's metrics
    /http_sd   targets as JSON: agents (:9601) and gateways (:9602) of all nodes, this controller
    /healthz   200 as long as the process answers

Anyone who can connect may read: no secret, mailbox or recipient ever stands in a metric.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable
from http import HTTPStatus

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from controller.metrics import REGISTRY
from controller.serving.errors import AddressInUse
from controller.serving.settings import Endpoint
from controller.store import Row, Store, queries
from controller.store.errors import StoreError

_SQL = queries.load("sessions")
_WITHIN_S = 10.0
AGENT_PORT = 9601
GATEWAY_PORT = 9602

Reply = tuple[HTTPStatus, str, bytes]


class MetricsServer:
    """Answers the three paths above."""

    def __init__(self, store: Store, listen: Endpoint) -> None:
        self._store = store
        self._listen = listen
        self._paths: dict[str, Callable[[], Awaitable[Reply]]] = {
            "/metrics": self._metrics,
            "/http_sd": self._discovery,
            "/healthz": self._health,
        }

    async def start(self) -> asyncio.Server:
        """Begins to answer; the caller closes the server. Raises AddressInUse."""
        try:
            server = await asyncio.start_server(
                self._connected, self._listen.host, self._listen.port
            )
        except OSError as error:
            raise AddressInUse(
                f"cannot listen on {self._listen} for metrics: {error.strerror}; "
                "--metrics takes another address"
            ) from error
        self._listen = Endpoint(self._listen.host, server.sockets[0].getsockname()[1])
        return server

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, TimeoutError, ValueError, asyncio.IncompleteReadError):
            async with asyncio.timeout(_WITHIN_S):
                head = await reader.readuntil(b"\r\n\r\n")
                status, kind, body = await self._reply(head.split(b"\r\n", 1)[0].decode("latin-1"))
                writer.write(
                    f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: {kind}\r\n"
                    f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode()
                )
                writer.write(body)
                await writer.drain()
        writer.close()

    async def _reply(self, request_line: str) -> Reply:
        method, _, rest = request_line.partition(" ")
        path = rest.partition(" ")[0].partition("?")[0]
        if method != "GET":
            return HTTPStatus.METHOD_NOT_ALLOWED, "text/plain", b"GET only\n"
        answer = self._paths.get(path)
        if answer is None:
            return HTTPStatus.NOT_FOUND, "text/plain", b"/metrics, /http_sd, /healthz\n"
        try:
            return await answer()
        except StoreError as error:
            # Prometheus keeps its last list when discovery fails.
            return HTTPStatus.SERVICE_UNAVAILABLE, "text/plain", f"{error}\n".encode()

    async def _metrics(self) -> Reply:
        return HTTPStatus.OK, CONTENT_TYPE_LATEST, generate_latest(REGISTRY)

    async def _health(self) -> Reply:
        return HTTPStatus.OK, "text/plain", b"ok\n"

    async def _discovery(self) -> Reply:
        nodes = await self._store.fetch_all(_SQL["nodes_for_discovery"])
        body = json.dumps(targets(nodes, str(self._listen)), indent=1).encode()
        return HTTPStatus.OK, "application/json", body


def targets(nodes: list[Row], controller: str) -> list[dict[str, object]]:
    """Target groups in Prometheus' http_sd form, ordered. Pure."""
    groups: list[dict[str, object]] = [
        {"targets": [controller], "labels": {"service": "controller"}}
    ]
    for node in nodes:
        for service, port in (("agent", AGENT_PORT), ("gateway", GATEWAY_PORT)):
            labels = {
                "service": service,
                "node": node["id"],
                "failure_domain": node["failure_domain"],
            }
            groups.append({"targets": [f"{node['address']}:{port}"], "labels": labels})
    return groups
