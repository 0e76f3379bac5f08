"""What provisioning asks of the controller, by FleetService over mTLS gRPC.

Credentials are a folder with ca.pem, cert.pem and key.pem of an operator.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import TypeVar

import grpc
from postfleet.v1 import fleet_pb2, fleet_pb2_grpc

from provisioning.errors import ControllerError

DEADLINE_S = 30.0
_Reply = TypeVar("_Reply")


class Fleet:
    """A connection to the controller; every call may raise ControllerError."""

    def __init__(self, controller: str, credentials: Path) -> None:
        self._controller = controller
        files = (credentials / name for name in ("ca.pem", "key.pem", "cert.pem"))
        try:
            ca, key, certificate = (file.read_bytes() for file in files)
        except OSError as error:
            raise ControllerError(
                f"cannot read the operator's credentials: {error.filename}: {error.strerror}; give "
                "--credentials DIR or POSTFLEET_CREDENTIALS (ca.pem, cert.pem, key.pem). No node "
                "was touched."
            ) from error
        secure = grpc.ssl_channel_credentials(ca, key, certificate)
        self._channel = grpc.secure_channel(controller, secure)
        self._stub = fleet_pb2_grpc.FleetServiceStub(self._channel)

    def __enter__(self) -> Fleet:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._channel.close()

    def enrol(self, node_id: str, csr_pem: str) -> fleet_pb2.EnrolNodeReply:
        """Have the fleet's CA sign a node's CSR; its earlier certificates end with that."""
        request = fleet_pb2.EnrolNodeRequest(node_id=node_id, csr_pem=csr_pem)
        return self._call(lambda: self._stub.EnrolNode(request, timeout=DEADLINE_S))

    def node(self, node_id: str) -> fleet_pb2.Node:
        """The node as the controller sees it."""
        request = fleet_pb2.ListRequest(id=node_id, filter=node_id)
        reply = self._call(lambda: self._stub.ListNodes(request, timeout=DEADLINE_S))
        for node in reply.nodes:
            if node.id == node_id:
                return node
        raise ControllerError(
            f"the controller at {self._controller} does not know node {node_id}; apply the "
            "inventory first: `postfleet fleet apply FILE`"
        )

    def decommission(
        self, node_id: str, *, fenced: bool, dry_run: bool, reason: str
    ) -> fleet_pb2.Node:
        """Order the node's egresses away and the node out of service; it takes its time."""
        request = fleet_pb2.DecommissionNodeRequest(
            node_id=node_id, fenced=fenced, dry_run=dry_run, reason=reason
        )
        return self._call(lambda: self._stub.DecommissionNode(request, timeout=DEADLINE_S))

    def _call(self, call: Callable[[], _Reply]) -> _Reply:
        try:
            return call()
        except grpc.RpcError as error:
            code, words = error.code(), error.details()
            raise ControllerError(
                f"the controller at {self._controller} answered {code.name}: {words}"
            ) from error
