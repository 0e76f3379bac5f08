"""What the controller does: ends terms, places egresses, plans, dispatches, asks back, suspends."""

from __future__ import annotations

import random

from controller.message_life import Event, State
from tests.whole.fleet import Fleet, Steps, Wire
from tests.whole.machine import stop_of
from tests.whole.steps_wires import converse, send
from tests.whole.tables import ON_NODE


def lead(fleet: Fleet, dice: random.Random) -> Steps:
    steps: Steps = [lambda: _look(fleet)] * 3
    steps.append(lambda: _reconcile(fleet, dice))
    late = fleet.endings if dice.random() < 0.3 else []
    for term in late:
        steps += [lambda t=term: _end(fleet, t)] * 3
    return steps


def _look(fleet: Fleet) -> None:
    now_s = fleet.now_ms * fleet.leader_speed / 1000
    rows = fleet.tables.lease_rows()
    over = fleet.observer.look(rows, read_from_s=now_s, read_until_s=now_s)
    fleet.endings += [term for term in over if term not in fleet.endings]


def _end(fleet: Fleet, term: object) -> None:
    """The transaction comes some time after the look."""
    fleet.endings.remove(term)
    fleet.tables.end_term(term)


def _reconcile(fleet: Fleet, dice: random.Random) -> None:
    if dice.random() < 0.25:
        fleet.tables.cordoned = {dice.choice(sorted(fleet.nodes))}
    fleet.tables.reconcile(rebalance=dice.random() < 0.3)


def take_over(fleet: Fleet, dice: random.Random) -> Steps:
    """What mostly follows when a node is silent: its term ends, its egresses go elsewhere, and who
    gets them hears of it at once."""
    return [lambda: _take_over(fleet)]


def _take_over(fleet: Fleet) -> None:
    _look(fleet)
    for term in list(fleet.endings):
        _end(fleet, term)
    before = {egress: a.node for egress, a in fleet.tables.assignments.items()}
    fleet.tables.reconcile(rebalance=False)
    after = {egress: a.node for egress, a in fleet.tables.assignments.items()}
    newly = {node for egress, node in after.items() if before.get(egress) != node}
    for wire in fleet.heard():
        if wire.node.name in newly:
            converse(fleet, wire)


def plan(fleet: Fleet, dice: random.Random) -> Steps:
    accepted = [m for m in fleet.tables.messages.values() if m.state is State.ACCEPTED]
    return [lambda m=m: fleet.tables.plan(m) for m in accepted]


def operate(fleet: Fleet, dice: random.Random) -> Steps:
    """An operator ends what no node has, or takes it back."""
    acts = (Event.UNPLANNED, Event.SUPPRESSED, Event.CANCELLED)
    free = [m for m in fleet.tables.messages.values() if m.state not in ON_NODE]
    return [lambda m=m, a=a: fleet.tables.end_by_operator(m, a) for m in free for a in acts]


def dispatch(fleet: Fleet, dice: random.Random) -> Steps:
    return [lambda w=w: _claim(fleet, w) for w in fleet.alive()]


def _claim(fleet: Fleet, wire: Wire) -> None:
    message = fleet.tables.claim(wire.node.name, wire.session)
    if message is not None:
        send(fleet, wire, message)


def ask_back(fleet: Fleet, dice: random.Random) -> Steps:
    """Egresses that go elsewhere."""
    return [
        lambda w=w, e=e, p=p: w.down.append(lambda: w.node.asked_back(e, p))
        for w in fleet.alive()
        for e, p in fleet.tables.asked_back(w.node.name)
        if fleet.tables.leases[w.node.name].session == w.session
    ]


def cancel(fleet: Fleet, dice: random.Random) -> Steps:
    """An operator wants one back that a node has, rather one that is being delivered; the node is
    asked; what came back ends."""
    asked = [m for m in fleet.tables.messages.values() if m.cancel_asked]
    steps: Steps = [fleet.tables.end_cancelled] * any(m.state is State.SCHEDULED for m in asked)
    steps += [
        lambda w=w, t=t: w.down.append(lambda: w.node.cancel(t))
        for w in fleet.alive()
        for t in fleet.tables.cancels(w.node.name)
    ]
    if not steps or dice.random() < 0.2:
        delivering = fleet.in_delivery()
        for message in fleet.tables.messages.values():
            if message.state in ON_NODE:
                often = 5 if message.id in delivering else 1
                steps += [lambda m=message: fleet.tables.ask_to_cancel(m)] * often
    return steps


def suspend(fleet: Fleet, dice: random.Random) -> Steps:
    """An egress is suspended or free again; the nodes are told of it."""
    untold = [w for w in fleet.alive() if w.told_stops != fleet.tables.stopped]
    if untold and dice.random() < 0.8:
        return [lambda w=w: tell_stops(fleet, w) for w in untold]
    if fleet.tables.stopped and dice.random() < 0.8:
        return [fleet.tables.stopped.clear]
    return [
        lambda e=e: fleet.tables.stopped.symmetric_difference_update({e}) for e in fleet.egresses
    ]


def tell_stops(fleet: Fleet, wire: Wire) -> None:
    """The whole list, as always."""
    wire.told_stops = frozenset(fleet.tables.stopped)
    stops = [stop_of(egress) for egress in sorted(wire.told_stops)]
    wire.down.append(lambda: wire.node.suspend(stops))
