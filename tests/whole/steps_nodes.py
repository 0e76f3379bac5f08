"""What nodes do: the agent's work, the hand-over, recall, and Postfix's deliveries."""

from __future__ import annotations

import random

from node_agent.agent.lifecycle import FactKind
from node_agent.agent.spool.messages import SpooledMessage
from tests.whole import recall as order
from tests.whole.fleet import Fleet, Steps, Wire
from tests.whole.node import Node
from tests.whole.steps_wires import tell

LONGEST_LOG = 10**6


def agent(fleet: Fleet, dice: random.Random) -> Steps:
    steps: Steps = []
    for n in fleet.awake():
        untold = not n.right.gateway_knows or n.stops() != n.told_stops
        steps += [lambda n=n: n.tell_gateway(fleet.now_ms)] * untold
        steps += [lambda n=n: n.follow(2)] * (n.log_read() < len(n.postfix.log))
        steps += [n.hold] * bool(n.holds)
        steps += [n.sweep] * bool(n.stale())
        steps += [n.resolve] * bool(n.unresolved())
        steps += [n.see_to_guard] * bool(n.postfix.reports)
    for wire in fleet.heard():
        steps += [
            lambda w=wire, e=e: _give_back(fleet, w, e, dice) for e in wire.node.releasing
        ] * 3
    return steps


def _give_back(fleet: Fleet, wire: Wire, egress: str, dice: random.Random) -> None:
    """What Postfix still has of it is recalled before or after, as it happens. Sometimes the
    session ends with that word on its way."""
    epoch = wire.node.give_back(egress)
    if epoch is not None:
        tell(fleet, wire, LONGEST_LOG)
        name = wire.node.name
        wire.up.append(lambda: fleet.tables.release(name, egress, epoch))
        if dice.random() < 0.2:
            fleet.break_session(wire.node)


def recall(fleet: Fleet, dice: random.Random) -> Steps:
    """A recall begins or goes on: of what is not the node's to send, or of single messages."""
    steps: Steps = []
    for n in fleet.awake():
        if n.recalling is not None:
            steps += [n.go_on_recalling] * 4 + [n.end_recalling]
            continue
        steps.append(lambda n=n: _sweep(fleet, n))
        if n.cancelled:
            steps.append(lambda n=n: _recall_cancelled(n))
    return steps


def _sweep(fleet: Fleet, node: Node) -> None:
    node.recalling = order.sweep(node, lambda: node.clock_ns(fleet.now_ms))


def _recall_cancelled(node: Node) -> None:
    wanted = frozenset(node.cancelled)
    node.cancelled.clear()
    node.recalling = order.recall(node, lambda m: m.id in wanted)


def hand_over(fleet: Fleet, dice: random.Random) -> Steps:
    steps: Steps = []
    for n in fleet.awake():
        steps += [lambda n=n, m=m: n.mark(m, fleet.now_ms) for m in n.waiting()]
        for token, queue_id in n.offering.items():
            egress = fleet.tables.messages[token].egress
            if queue_id:
                steps += [lambda n=n, t=token: n.hear(t, FactKind.ACCEPTED)]
            else:
                steps += [lambda n=n, t=token, e=egress: n.offer(t, e)] * 3
                steps += [lambda n=n, t=token: _turn_down(fleet, n, t)]
    return steps


def serve(fleet: Fleet, dice: random.Random) -> Steps:
    """What mostly happens, in one step: a message reaches Postfix, and that tries at once."""
    return [lambda n=n, m=m: _pass_on(fleet, n, m) for n in fleet.awake() for m in n.waiting()]


def _pass_on(fleet: Fleet, node: Node, message: SpooledMessage) -> None:
    node.mark(message, fleet.now_ms)
    if message.id in node.offering:
        node.offer(message.id, message.egress_id)
        queue_id = node.offering[message.id]
        node.hear(message.id, FactKind.ACCEPTED)
        fleet.try_delivery(node, queue_id)


def _turn_down(fleet: Fleet, node: Node, token: str) -> None:
    fleet.turned_down.add(token)
    node.hear(token, FactKind.TURNED_DOWN)


def postfix(fleet: Fleet, dice: random.Random) -> Steps:
    steps: Steps = []
    for n in fleet.awake():
        for q in n.postfix.queue:
            if n.may_try(q):
                steps += [lambda n=n, q=q: fleet.try_delivery(n, q)] * 4
        steps += [lambda n=n, q=q: _answer(fleet, n, q, dice) for q in n.postfix.delivering]
    return steps


def _answer(fleet: Fleet, node: Node, queue_id: str, dice: random.Random) -> None:
    """The receiver's answer; the last one is lost on its way."""
    others = [FactKind.SENT, FactKind.BOUNCED, FactKind.UNCERTAIN]
    kind = dice.choice([FactKind.DEFERRED] * 3 + others)
    fleet.reach(node, queue_id, taken=kind in (FactKind.SENT, FactKind.UNCERTAIN))
    if kind is FactKind.BOUNCED:
        fleet.turned_down.add(node.postfix.token(queue_id))
    node.postfix.end_delivery(queue_id, kind)
