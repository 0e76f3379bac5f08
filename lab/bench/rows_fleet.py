"""The rows that need a fleet: from submission to `sent` stored, and the agent's memory.

The reference is what the nodes' Postfix does alone: the same number of messages of the same size,
from the same mailboxes to the same receivers, signed, through the same gateways and proxies, handed
to each node's Postfix by smtp-source while the agents are stopped. The nodes and the controller
share two cores, so the controller's and the agents' work counts fully.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

from google.protobuf.timestamp_pb2 import Timestamp
from postfleet.v1 import submission_pb2 as pb
from postfleet.v1 import submission_pb2_grpc

from lab.bench.errors import BenchError
from lab.bench.fleet_ground import FleetGround, Sender, fleet_ground
from lab.bench.ground import wait_for
from lab.bench.result import Bar, Result, Side, median_ratio, spread
from lab.node import Node

_PER_MAILBOX = 2
_SPOOLED = 10_000
_PER_REQUEST = 200
_TIMEOUT_S = 300.0
_STALLED_S = 60.0
_DOMAINS = ("google.test", "microsoft.test", "yahoo.test", "example1.test")
_BODY = (b"x" * 70 + b"\r\n") * 56
_AGENT = "postfleet-agent.service"


def fleet_rows(rounds: int, say: Callable[[str], None]) -> list[Result]:
    """Measure both rows on one fleet."""
    with fleet_ground(say) as ground:
        rates: dict[str, list[float]] = {"postfleet": [], "alone": []}
        _through_controller(ground)
        for number in range(rounds):
            rates["postfleet"].append(_through_controller(ground))
            rates["alone"].append(_postfix_alone(ground))
            say(
                f"round {number + 1}/{rounds}: postfleet {rates['postfleet'][-1]:.0f}, "
                f"Postfix alone {rates['alone'][-1]:.0f} messages/s"
            )
        note = f"postfleet {spread(rates['postfleet'])}, Postfix alone {spread(rates['alone'])}"
        ratio = median_ratio(rates["postfleet"], rates["alone"])
        bar = Bar(Side.AT_LEAST, 0.6)
        return [
            Result("submit → sent stored vs Postfix alone", ratio, "", bar, f"{note} messages/s"),
            _agent_memory(ground, say),
        ]


def _through_controller(ground: FleetGround) -> float:
    """Messages per second from the first submission until the controller has stored all `sent`."""
    before = ground.fleet.summary().messages.get("sent", 0)
    began = time.monotonic()
    count = _submit(ground, ground.senders * _PER_MAILBOX, None)
    wait_for(
        lambda: ground.fleet.summary().messages.get("sent", 0) >= before + count,
        f"not all of {count} messages are sent: {dict(ground.fleet.summary().messages)}",
        _TIMEOUT_S,
    )
    return count / (time.monotonic() - began)


def _submit(ground: FleetGround, senders: Sequence[Sender], not_before: datetime | None) -> int:
    run = secrets.token_hex(4)
    when = None
    if not_before is not None:
        when = Timestamp()
        when.FromDatetime(not_before)
    messages = [
        pb.SubmittedMessage(
            idempotency_key=f"{run}-{number}",
            client_id=sender.client,
            mailbox=sender.address,
            recipient=f"reader.{run}.{number}@{_DOMAINS[number % len(_DOMAINS)]}",
            not_before=when,
            content=f"From: <{sender.address}>\r\nSubject: bench\r\n\r\n".encode() + _BODY,
        )
        for number, sender in enumerate(senders)
    ]
    requests = (
        pb.SubmitRequest(messages=messages[start : start + _PER_REQUEST])
        for start in range(0, len(messages), _PER_REQUEST)
    )
    stub = submission_pb2_grpc.SubmissionServiceStub(ground.fleet.channel)
    return sum(
        result.status == pb.SUBMIT_STATUS_ACCEPTED
        for response in stub.Submit(requests, timeout=_TIMEOUT_S)
        for result in response.results
    )


def _postfix_alone(ground: FleetGround) -> float:
    """Messages per second from the first hand-over until the receivers have recorded all."""
    nodes = ground.lab.nodes
    scripts = {node_id: _hand_over(ground, node_id) for node_id in nodes}
    for node in nodes.values():
        node.run(f"systemctl stop {_AGENT}")
    try:
        before = _recorded(ground)
        count = len(ground.senders) * _PER_MAILBOX
        began = time.monotonic()
        with ThreadPoolExecutor(len(nodes)) as pool:
            list(pool.map(lambda node: _run(node, scripts[node.id]), nodes.values()))
        wait_for(
            lambda: _recorded(ground) >= before + count,
            f"the receivers have not recorded all of {count} messages",
            _TIMEOUT_S,
        )
        return count / (time.monotonic() - began)
    finally:
        for node in nodes.values():
            node.run(f"systemctl start {_AGENT}")


def _run(node: Node, script: str) -> None:
    node.run(script, timeout_s=_TIMEOUT_S)


def _hand_over(ground: FleetGround, node_id: str) -> str:
    """A script of smtp-source calls, four at a time as the agent has four connections."""
    lines = [
        f"smtp-source -4 -d -s 1 -m {_PER_MAILBOX} -l 4096 -f {sender.address} "
        f"-t reader.alone@{_DOMAINS[number % len(_DOMAINS)]} 127.0.0.1:10587"
        for number, sender in enumerate(ground.senders)
        if sender.node == node_id
    ]
    return (
        "printf '%s\\n' "
        + " ".join(f"'{line}'" for line in lines)
        + " | xargs -P 4 -I CMD sh -c CMD"
    )


def _recorded(ground: FleetGround) -> int:
    """How many events the receivers wrote down; none of these messages is refused."""
    folder: Path = ground.lab.receivers.folder
    return sum(path.read_bytes().count(b"\n") for path in folder.glob("*/records.jsonl"))


def _wait_until_spooled(ground: FleetGround, node_id: str, say: Callable[[str], None]) -> None:
    """Return when the node has them all; gives up only where it gets no more for a while."""
    had, since = -1, time.monotonic()
    while had < _SPOOLED:
        (has,) = (node.spooled for node in ground.fleet.nodes() if node.id == node_id)
        if has > had:
            had, since = has, time.monotonic()
            say(f"{node_id} has {had:,} of {_SPOOLED:,}")
        elif time.monotonic() - since > _STALLED_S:
            raise BenchError(
                f"{node_id} has {had:,} of {_SPOOLED:,} messages and got no more in "
                f"{_STALLED_S:g} s; the fleet: {dict(ground.fleet.summary().messages)}"
            )
        time.sleep(5)


def _agent_memory(ground: FleetGround, say: Callable[[str], None]) -> Result:
    """Resident memory of an agent with about 150 mailboxes when 10,000 messages wait with it."""
    node_id = min(ground.lab.nodes)
    senders = [sender for sender in ground.senders if sender.node == node_id]
    say(f"memory of the agent of {node_id} with {_SPOOLED:,} messages")
    repeated = (senders * (_SPOOLED // len(senders) + 1))[:_SPOOLED]
    accepted = _submit(ground, repeated, datetime.now(UTC) + timedelta(hours=1))
    if accepted != _SPOOLED:
        raise BenchError(f"only {accepted:,} of {_SPOOLED:,} messages for {node_id} were accepted")
    _wait_until_spooled(ground, node_id, say)
    shown = (
        ground.lab.nodes[node_id]
        .run(f"cat /proc/$(systemctl show -P MainPID {_AGENT})/status")
        .stdout
    )
    (line,) = (line for line in shown.splitlines() if line.startswith("VmRSS:"))
    resident_mib = int(line.split()[1]) / 1024
    note = f"{len(senders)} mailboxes, {_SPOOLED:,} messages in the spool"
    return Result("agent memory, 10,000 spooled", resident_mib, "MB", Bar(Side.AT_MOST, 120), note)
