"""Many nodes in one process, each no more than its stream: for measuring the controller.

Run as `python -m lab.bench.scale_agents TARGET STATE_DIR DSN SECONDS OUTCOMES_PER_S`, with one line
`<node> <message id> …` for each agent on standard input. Each is enrolled, dials over mTLS with a
certificate of its own, renews its lease as the controller's Welcome says, reports what became of
its messages evenly over the time, and takes whatever spec it is given. Prints `ready` when all have
their first grant; at the end one JSON object (`Seen`).
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, TypeAlias

import grpc
import psycopg
from postfleet.v1 import node_pb2, node_pb2_grpc

from controller.keys.authority import SERVER_NAME, FleetCa, open_fleet_ca
from controller.keys.identity import Kind
from lab.bench.scale_trust import Trust
from node_agent.agent.session import dial

# The types of grpc's asyncio calls say less than what is used of them here.
_Call: TypeAlias = Any
_OPTIONS = [*dial.OPTIONS, ("grpc.ssl_target_name_override", SERVER_NAME)]
# Of every hundred outcomes: greylisted at first, or no such recipient; the others are sent.
_DEFERRED, _BOUNCED = 5, 2
_HOST = "mx.x.test[203.0.113.1]:25"
_TAKEN = "250 2.0.0 OK"
_GREYLISTED = "host mx.x.test[203.0.113.1] said: 451 4.7.1 Greylisted, try again later"
_UNKNOWN = "host mx.x.test[203.0.113.1] said: 550 5.1.1 No such user here (RCPT TO)"
# Handshakes under way at a time: a fleet does not dial in one instant, by its back-off.
_DIAL_TOGETHER = 20
_READY_S = 300


@dataclass
class Seen:
    """`latencies_s`: from each heartbeat to its grant; one that still waits counts with its age
    when that is more than a second. `lapses`: leases that ended before the next grant was there;
    `broken`: streams that ended by themselves; `offered` and `acknowledged`: outcomes."""

    latencies_s: list[float] = field(default_factory=list)
    lapses: int = 0
    broken: int = 0
    offered: int = 0
    acknowledged: int = 0


class Agent:
    """One node's stream."""

    def __init__(self, node_id: str, message_ids: list[str], seen: Seen) -> None:
        self._node_id = node_id
        self._left = iter(message_ids)
        self._seen = seen
        self.trust = Trust()
        self._seq = self._event_seq = self._acked = 0
        self.granted = asyncio.Event()
        # From when on it reports.
        self.began_s: float | None = None

    async def run(
        self,
        target: str,
        credentials: grpc.ChannelCredentials,
        dialling: asyncio.Semaphore,
        rate: float,
    ) -> None:
        """Until cancelled; reports `rate` outcomes a second once it has a lease."""
        async with grpc.aio.secure_channel(target, credentials, _OPTIONS) as channel:
            async with dialling:
                call: _Call = node_pb2_grpc.NodeServiceStub(channel).Session()
                hello = node_pb2.Hello(
                    node_id=self._node_id, boot_id=self._node_id, spool_id=self._node_id
                )
                await call.write(node_pb2.NodeMessage(hello=hello))
                welcome = await call.read()
                await self._beat(call)
            every_s = welcome.welcome.heartbeat_interval_ms / 1000
            talk = asyncio.create_task(self._talk(call, every_s, rate))
            try:
                while (message := await call.read()) is not grpc.aio.EOF:
                    await self._take(call, message)
                self._seen.broken += 1
            except grpc.aio.AioRpcError:
                self._seen.broken += 1
            finally:
                talk.cancel()

    async def _talk(self, call: _Call, every_s: float, rate: float) -> None:
        await asyncio.sleep(random.uniform(0, every_s))
        next_beat_s = time.monotonic()
        reported = 0
        while True:
            now_s = time.monotonic()
            self.trust.look(now_s)
            if now_s >= next_beat_s:
                next_beat_s += every_s
                await self._beat(call)
            if self.began_s is not None:
                due = int((now_s - self.began_s) * rate) - reported
                reported += due
                await self._report(call, due)
            await asyncio.sleep(1.0)

    async def _beat(self, call: _Call) -> None:
        self._seq += 1
        self.trust.asked(self._seq, time.monotonic())
        await call.write(node_pb2.NodeMessage(heartbeat=node_pb2.Heartbeat(seq=self._seq)))

    async def _report(self, call: _Call, count: int) -> None:
        report = node_pb2.EventReport(spool_id=self._node_id)
        for message_id in islice(self._left, count):
            self._event_seq += 1
            kind, dsn, reason = _outcome()
            event = report.events.add(
                seq=self._event_seq, message_id=message_id, kind=kind, dsn=dsn, relay=_HOST,
                reason=reason, log_line=f"{message_id}: to=<r@x.test>, relay={_HOST}, {reason}",
            )  # fmt: skip
            event.at.GetCurrentTime()
        if report.events:
            report.written_at.GetCurrentTime()
            self._seen.offered += len(report.events)
            await call.write(node_pb2.NodeMessage(event_report=report))

    async def _take(self, call: _Call, message: node_pb2.ControllerMessage) -> None:
        kind = message.WhichOneof("body")
        if kind == "lease_grant":
            self._granted(message.lease_grant)
        elif kind == "event_ack":
            self._seen.acknowledged += message.event_ack.up_to_seq - self._acked
            self._acked = message.event_ack.up_to_seq
        elif kind == "spec":
            result = node_pb2.SpecResult(
                generation=message.spec.generation,
                running_generation=message.spec.generation,
                applied=True,
            )
            await call.write(node_pb2.NodeMessage(spec_result=result))

    def _granted(self, grant: node_pb2.LeaseGrant) -> None:
        good_for_s = (grant.ttl_ms - grant.margin_ms) / 1000
        self.trust.granted(grant.heartbeat_seq, good_for_s, time.monotonic())
        self.granted.set()


def _outcome() -> tuple[node_pb2.EventKind.ValueType, str, str]:
    number = random.randrange(100)
    if number < _DEFERRED:
        return node_pb2.EVENT_KIND_DEFERRED, "4.7.1", _GREYLISTED
    if number < _DEFERRED + _BOUNCED:
        return node_pb2.EVENT_KIND_BOUNCED, "5.1.1", _UNKNOWN
    return node_pb2.EVENT_KIND_SENT, "2.0.0", _TAKEN


def _assignments() -> Iterator[tuple[str, list[str]]]:
    for line in sys.stdin:
        node_id, *message_ids = line.split()
        yield node_id, message_ids


def enrol(ca: FleetCa, dsn: str, node_ids: list[str]) -> dict[str, grpc.ChannelCredentials]:
    """Certificates in force, by node."""
    issued = {node_id: ca.issue_identity(Kind.NODE, node_id) for node_id in node_ids}
    with psycopg.connect(dsn) as connection, connection.cursor() as cursor:
        cursor.executemany(
            "UPDATE node SET certificate_sha256 = %s, enrolled_at = now() WHERE id = %s",
            [(each.certificate_sha256, node_id) for node_id, each in issued.items()],
        )
    return {
        node_id: grpc.ssl_channel_credentials(ca.pem, each.key_pem, each.certificate_pem)
        for node_id, each in issued.items()
    }


async def main(target: str, state: Path, dsn: str, seconds: float, rate: float) -> None:
    """All agents of standard input, for so long after the last one is ready."""
    given, seen, dialling = dict(_assignments()), Seen(), asyncio.Semaphore(_DIAL_TOGETHER)
    credentials = enrol(open_fleet_ca(state), dsn, list(given))
    agents = {node_id: Agent(node_id, ids, seen) for node_id, ids in given.items()}
    tasks = [
        asyncio.create_task(agent.run(target, credentials[node_id], dialling, rate / len(agents)))
        for node_id, agent in agents.items()
    ]
    async with asyncio.timeout(_READY_S):
        for agent in agents.values():
            await agent.granted.wait()
    # The handshakes are not what is measured.
    for agent in agents.values():
        agent.trust.forget_latencies()
        agent.began_s = time.monotonic()
    print("ready", flush=True)
    await asyncio.sleep(seconds)
    now_s = time.monotonic()
    for agent in agents.values():
        agent.trust.look(now_s)
        seen.lapses += agent.trust.lapses
        seen.latencies_s += agent.trust.latencies_s
        seen.latencies_s += [age_s for age_s in agent.trust.waiting_s(now_s) if age_s > 1]
    print(json.dumps(asdict(seen)), flush=True)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


if __name__ == "__main__":
    asyncio.run(
        main(sys.argv[1], Path(sys.argv[2]), sys.argv[3], float(sys.argv[4]), float(sys.argv[5]))
    )
