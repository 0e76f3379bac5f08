"""What provisioning asks of the controller, by FleetService over mTLS gRPC.

Credentials are a folder with ca.pem, cert.pem and key.pem of an operator.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import TypeVar

import grpc
from postfleet.v1 import fleet_pb2, fleet_pb2_grpc

from provisioning.errors import ControllerError, OrderRefused

DEADLINE_S = 30.0
# Every call here may be repeated: an order that finds everything as it should be changes nothing.
RESTART_S = 60.0
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
        self._answered = False

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

    def nodes(self) -> list[fleet_pb2.Node]:
        """All nodes as the controller sees them."""
        found: list[fleet_pb2.Node] = []
        request = fleet_pb2.ListRequest()
        while True:
            reply = self._call(lambda: self._stub.ListNodes(request, timeout=DEADLINE_S))
            found += reply.nodes
            if not reply.next_page_token:
                return found
            request.page_token = reply.next_page_token

    def bound_mailboxes(self, node_id: str) -> int:
        """Mailboxes whose egress is an address of the node, so can live nowhere else."""
        request = fleet_pb2.ListRequest(node_id=node_id, page_size=10_000)
        reply = self._call(lambda: self._stub.ListEgresses(request, timeout=DEADLINE_S))
        return sum(egress.mailboxes for egress in reply.egresses if egress.kind == "address")

    def cordon(self, node_id: str, cordoned: bool) -> fleet_pb2.Node:
        """Close the node for egresses, or open it; also ends its fence."""
        request = fleet_pb2.SetNodeCordonRequest(node_id=node_id, cordoned=cordoned)
        return self._call(lambda: self._stub.SetNodeCordon(request, timeout=DEADLINE_S))

    def fence(
        self, node_id: str, reason: str, *, epoch: int = 0, dry_run: bool = False
    ) -> fleet_pb2.FenceNodeReply:
        """Attest that the node's machine cannot send: its term ends now. Repeating: nothing.

        With an epoch only that term is ended; another one that began since is an error.
        """
        request = fleet_pb2.FenceNodeRequest(
            node_id=node_id, reason=reason, epoch=epoch, dry_run=dry_run
        )
        return self._call(lambda: self._stub.FenceNode(request, timeout=DEADLINE_S))

    def rebalance(self, reason: str) -> fleet_pb2.ShardPlan:
        """Order the load evened out by the fewest moves. Raises OrderRefused: one is running."""
        request = fleet_pb2.RebalanceShardsRequest(reason=reason)
        return self._call(lambda: self._stub.RebalanceShards(request, timeout=DEADLINE_S))

    def decommission(
        self, node_id: str, *, fenced: bool, dry_run: bool, reason: str
    ) -> fleet_pb2.Node:
        """Order the node's egresses away and the node out of service; it takes its time."""
        request = fleet_pb2.DecommissionNodeRequest(
            node_id=node_id, fenced=fenced, dry_run=dry_run, reason=reason
        )
        return self._call(lambda: self._stub.DecommissionNode(request, timeout=DEADLINE_S))

    def _call(self, call: Callable[[], _Reply]) -> _Reply:
        """One call; a controller that answered before may restart meanwhile."""
        patient_until = time.monotonic() + (RESTART_S if self._answered else 0)
        while True:
            try:
                reply = call()
            except grpc.RpcError as error:
                code, words = error.code(), error.details()
                if code == grpc.StatusCode.UNAVAILABLE and time.monotonic() < patient_until:
                    time.sleep(1)
                    continue
                refused = code == grpc.StatusCode.FAILED_PRECONDITION
                raise (OrderRefused if refused else ControllerError)(
                    f"the controller at {self._controller} answered {code.name}: {words}"
                ) from error
            self._answered = True
            return reply
