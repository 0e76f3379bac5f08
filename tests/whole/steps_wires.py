"""What goes over the wires: sessions, heartbeats and grants, reports, and words in their order."""

from __future__ import annotations

import random

from postfleet.v1 import node_pb2

from node_agent.agent.spool import meta, outbox
from tests.whole.bugs import Bug
from tests.whole.fleet import Fleet, Steps, Wire
from tests.whole.machine import mailbox_of
from tests.whole.node import Node
from tests.whole.tables import MARGIN_MS, TTL_MS, Message


def session(fleet: Fleet, dice: random.Random) -> Steps:
    connected = {wire.node.name for wire in fleet.alive()}
    return [lambda n=n: _dial(fleet, n) for n in fleet.awake() if n.name not in connected]


def _dial(fleet: Fleet, node: Node) -> None:
    fleet.sessions += 1
    wire = Wire(node, fleet.sessions)
    fleet.wires.append(wire)
    node.reported = int(meta.read(node.db, "acked_seq"))
    for message in fleet.tables.admit(node.name, wire.session, node.spool_id):
        send(fleet, wire, message)


def send(fleet: Fleet, wire: Wire, message: Message) -> None:
    """Puts a dispatched message on the wire."""
    words = node_pb2.DispatchedMessage(
        message_id=message.id, mailbox=mailbox_of(message.egress), egress_id=message.egress,
        epoch=message.epoch or 0,
    )  # fmt: skip
    wire.down.append(lambda: _dispatched(fleet, wire, words))


def _dispatched(fleet: Fleet, wire: Wire, words: node_pb2.DispatchedMessage) -> None:
    stored, name = wire.node.take(words), wire.node.name
    wire.up.append(lambda: fleet.tables.answered(name, wire.session, words.message_id, stored))


def carry(fleet: Fleet, dice: random.Random) -> Steps:
    """Words of sessions that ended arrive late, rather when the node has a newer term."""
    late = dice.random() < 0.1
    steps: Steps = [lambda w=w: w.down.popleft()() for w in fleet.heard() if w.down]
    for wire in fleet.wires:
        in_newer_term = any(
            a.node == wire.node.name and a.epoch > wire.ended_in
            for a in fleet.tables.assignments.values()
        )
        if wire.up and (wire.alive or late or in_newer_term):
            steps.append(lambda w=wire: w.up.popleft()())
    return steps


def heartbeat(fleet: Fleet, dice: random.Random) -> Steps:
    return [lambda w=w: _beat(fleet, w) for w in fleet.heard()]


def _beat(fleet: Fleet, wire: Wire) -> None:
    fleet.seq += 1
    seq, node = fleet.seq, wire.node
    node.sent_at_ns[seq] = node.clock_ns(fleet.now_ms)
    wire.up.append(lambda: _renewed(fleet, wire, seq))


def _renewed(fleet: Fleet, wire: Wire, seq: int) -> None:
    grant = fleet.tables.renew(wire.node.name, wire.session)
    told_ms, node = fleet.now_ms, wire.node
    if grant is not None and wire.alive:
        wire.down.append(
            lambda: node.granted(seq, grant[0], TTL_MS, MARGIN_MS, grant[1], told_ms, fleet.now_ms)
        )


def round_trip(fleet: Fleet, dice: random.Random) -> Steps:
    """What mostly happens, in one step."""
    return [lambda w=w: converse(fleet, w) for w in fleet.heard()]


def converse(fleet: Fleet, wire: Wire) -> None:
    """A heartbeat, all words either way, the gateway told."""
    _beat(fleet, wire)
    for words in (wire.up, wire.down):
        while words:
            words.popleft()()
    wire.node.tell_gateway(fleet.now_ms)


def report(fleet: Fleet, dice: random.Random) -> Steps:
    return [lambda w=w: tell(fleet, w, 3) for w in fleet.heard()]


def tell(fleet: Fleet, wire: Wire, most: int) -> None:
    """Reports so many events; they are kept until the controller has stored them."""
    node, spool_id = wire.node, wire.node.spool_id
    events = node.to_report(most)
    if not events:
        return
    if fleet.bug is Bug.ACKNOWLEDGED_BEFORE:
        outbox.acknowledge(node.db, events[-1].seq)

    def stored() -> None:
        fleet.tables.report(node.name, spool_id, events)
        if wire.alive:
            wire.down.append(lambda: outbox.acknowledge(node.db, events[-1].seq))

    wire.up.append(stored)
