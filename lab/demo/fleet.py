"""The controller as the demonstration sees it: a process on the lab's host side, asked over gRPC.

The same services that operators and senders use, with the operator's own certificate. All calls
block. Nothing here knows of mail's content; submission is `lab.demo.submit`.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import grpc
from postfleet.v1 import fleet_pb2, fleet_pb2_grpc

from lab.demo.errors import DemoError
from lab.demo.facts import Account
from lab.dns_update import Record
from lab.lab import Lab
from lab.network_namespace import Process
from lab.priority import first
from lab.settings import CHECKOUT

RPC_PORT, ECHO_PORT, METRICS_PORT = 7443, 7444, 9600
_START_TIMEOUT_S = 90.0
_CALL_TIMEOUT_S = 60.0
_PAGE_SIZE = 5_000
# Messages of 3 MiB and pages of thousands of rows; asked again soon while the server starts.
_OPTIONS = [
    ("grpc.max_receive_message_length", 64 << 20),
    ("grpc.max_send_message_length", 8 << 20),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
]


def run_controller(
    lab: Lab, *, number: int = 0, env: Mapping[str, str] | None = None, more: Sequence[str] = ()
) -> Process:
    """Starts `postfleet controller run` on the lab's host side and returns at once.

    It runs before the nodes (`lab.priority`), and so does the PostgreSQL that it starts. All share
    one state directory; the one with number n listens 100 n ports higher on each door and has a log
    of its own. `more`: further options.
    """
    host, state = lab.controller_address, lab.directory / "controller"
    argv = [str(Path(sys.executable).parent / "postfleet"), "controller", "run"]
    argv += ["--state-dir", str(state), "--listen", f"{host}:{RPC_PORT + 100 * number}"]
    argv += ["--metrics", f"{host}:{METRICS_PORT + 100 * number}"]
    argv += ["--probe-echo", f"{host}:{ECHO_PORT + 100 * number}"]
    log = f"controller{number or ''}"
    return lab.host.popen(first([*argv, *more]), log=log, env=env, cwd=CHECKOUT)


class Fleet:
    """A controller and what it says. `start` runs one, `close` ends the connection to it."""

    def __init__(self, lab: Lab, process: Process) -> None:
        self.lab, self.process = lab, process
        self.target = f"{lab.controller_address}:{RPC_PORT}"
        self.credentials = lab.directory / "controller" / "operator"
        self._channel: grpc.Channel | None = None

    @classmethod
    def start(cls, lab: Lab) -> Fleet:
        """Starts `postfleet controller run` on an embedded PostgreSQL, and waits for its answer.

        Raises DemoError with the end of its log.
        """
        fleet = cls(lab, run_controller(lab))
        fleet.wait_answering()
        return fleet

    def wait_answering(self, timeout_s: float = _START_TIMEOUT_S) -> None:
        """Returns when the controller answers. Raises DemoError with the end of its log."""
        deadline = time.monotonic() + timeout_s
        while not self.answers():
            if not self.process.alive or time.monotonic() > deadline:
                raise DemoError(
                    f"the controller does not answer at {self.target}; it said:\n"
                    f"{self.process.log_tail()}"
                )
            time.sleep(0.2)

    @property
    def channel(self) -> grpc.Channel:
        """An mTLS channel as the first operator."""
        if self._channel is None:
            read = {n: (self.credentials / f"{n}.pem").read_bytes() for n in ("ca", "key", "cert")}
            credentials = grpc.ssl_channel_credentials(read["ca"], read["key"], read["cert"])
            self._channel = grpc.secure_channel(self.target, credentials, _OPTIONS)
        return self._channel

    def close(self) -> None:
        """Closes the channel; the controller ends with the lab."""
        if self._channel is not None:
            self._channel.close()

    def summary(self) -> fleet_pb2.FleetSummary:
        """The fleet in numbers."""
        summary: fleet_pb2.FleetSummary = self._call("GetFleet", fleet_pb2.GetFleetRequest())
        return summary

    def nodes(self) -> list[fleet_pb2.Node]:
        """All nodes, ordered by id."""
        return list(self._pages("ListNodes", fleet_pb2.ListRequest, "nodes"))

    def egresses(self) -> list[fleet_pb2.EgressRow]:
        """All egresses, ordered by id."""
        return list(self._pages("ListEgresses", fleet_pb2.ListRequest, "egresses"))

    def fence(self, node_id: str, reason: str) -> None:
        """Attests that a node is off, as `postfleet node fence` does. Raises DemoError."""
        self._call("FenceNode", fleet_pb2.FenceNodeRequest(node_id=node_id, reason=reason))

    def drain(self, node_id: str, reason: str) -> None:
        """Orders that a node gives everything back, as `postfleet node drain`. Raises DemoError."""
        self._call("DrainNode", fleet_pb2.DrainNodeRequest(node_id=node_id, reason=reason))

    def uncordon(self, node_id: str) -> None:
        """Opens a node again, as `postfleet node uncordon` does. Raises DemoError."""
        self._call("SetNodeCordon", fleet_pb2.SetNodeCordonRequest(node_id=node_id))

    def rebalance(self, reason: str) -> bool:
        """Orders that the load is evened out; whether anything has to move. Raises DemoError."""
        request = fleet_pb2.RebalanceShardsRequest(reason=reason)
        return bool(self._call("RebalanceShards", request).changed)

    def is_rebalancing(self) -> bool:
        """Whether such an order stands."""
        return bool(self._call("ListShardMoves", fleet_pb2.ListShardMovesRequest()).rebalancing)

    def dns_records(self) -> list[Record]:
        """What must stand in the DNS for this fleet."""
        return [
            Record(record.name, record.type, record.data, record.ttl)
            for record in self._pages("ListDnsRecords", fleet_pb2.ListRequest, "records")
        ]

    def accounts(self) -> dict[str, Account]:
        """What the controller says of every message, by message id."""
        return {
            message.id: Account(
                message_id=message.id,
                state=message.state,
                mailbox=message.mailbox,
                egress=message.egress_id,
                node=message.node_id,
                recipient=message.recipient,
                reason=message.reason,
                attempts=message.attempts,
            )
            for message in self._pages("ListMessages", fleet_pb2.ListMessagesRequest, "messages")
        }

    def answers(self) -> bool:
        """Whether the controller answers now."""
        if not (self.credentials / "key.pem").exists():
            return False
        try:
            self.summary()
        except DemoError:
            return False
        return True

    def _pages(self, method: str, request: Callable[..., Any], rows: str) -> Iterator[Any]:
        token = ""
        while True:
            page = self._call(method, request(page_size=_PAGE_SIZE, page_token=token))
            yield from getattr(page, rows)
            token = page.next_page_token
            if not token:
                return

    def _call(self, method: str, request: Any) -> Any:
        stub = fleet_pb2_grpc.FleetServiceStub(self.channel)
        try:
            return getattr(stub, method)(request, timeout=_CALL_TIMEOUT_S)
        except grpc.RpcError as error:
            words = error.details() if isinstance(error, grpc.Call) else repr(error)
            raise DemoError(f"{method} at the controller {self.target}: {words}") from error
