"""Time, and what goes wrong: sessions end, processes are killed or stand still, power goes."""

from __future__ import annotations

import random

from controller.leases.observer import Observer
from tests.whole.fleet import Fleet, Steps
from tests.whole.node import Node


def time(fleet: Fleet, dice: random.Random) -> Steps:
    return [lambda ms=ms: _pass(fleet, ms) for ms in (10, 50, 150, 300, 700)]


def long_time(fleet: Fleet, dice: random.Random) -> Steps:
    """About as long as a lease."""
    return [lambda ms=ms: _pass(fleet, ms) for ms in (4500, 5300, 5800, 6300, 7500)]


def _pass(fleet: Fleet, ms: int) -> None:
    fleet.now_ms += ms


def trouble(fleet: Fleet, dice: random.Random) -> Steps:
    """Rather at a bad moment: words are under way, or Postfix has a message and has not said so."""
    steps: Steps = [lambda: _fail_over(fleet)]
    speaking = [wire.node for wire in fleet.alive() if wire.up]
    for node in fleet.awake():
        steps += [lambda n=node: fleet.break_session(n)] * (5 if node in speaking else 1)
        steps += [lambda n=node: _restart(fleet, n)] * (5 if node.offering else 1)
    return steps


def freeze(fleet: Fleet, dice: random.Random) -> Steps:
    """Rather one with a connection open; at most one stands still at a time."""
    if fleet.frozen is not None:
        return [lambda: _stand_still(fleet, None)] if dice.random() < 0.7 else []
    waiting = [wire.node for wire in fleet.alive() if wire.down]
    return [
        lambda n=n: _stand_still(fleet, n)
        for n in fleet.nodes.values()
        for _ in range(5 if n.postfix.delivering or n in waiting else 1)
    ]


def disaster(fleet: Fleet, dice: random.Random) -> Steps:
    """A disk is lost."""
    return [lambda n=n: _lose_disk(fleet, n) for n in fleet.nodes.values()]


def ending(fleet: Fleet, dice: random.Random) -> Steps:
    """All of Postfix is killed, or the power goes: rather where something is being delivered."""
    steps: Steps = []
    for node in fleet.nodes.values():
        often = 4 if node.postfix.delivering else 1
        steps += [lambda n=node: _end_postfix(fleet, n, dice)] * often
        steps += [lambda n=node: _lose_power(fleet, n, dice)] * often
    return steps


def _fail_over(fleet: Fleet) -> None:
    """Another controller leads; what the old one was about to do may still happen."""
    fleet.observer = Observer()


def _stand_still(fleet: Fleet, node: Node | None) -> None:
    fleet.frozen = node


def _restart(fleet: Fleet, node: Node) -> None:
    fleet.break_session(node)
    node.restart_agent()


def _lose_disk(fleet: Fleet, node: Node) -> None:
    fleet.break_session(node)
    node.lose_disk()


def _end_postfix(fleet: Fleet, node: Node, dice: random.Random) -> None:
    _reach_in_delivery(fleet, node, dice)
    node.end_postfix(_some(node, dice))
    fleet.guarded |= node.postfix.guarded()


def _lose_power(fleet: Fleet, node: Node, dice: random.Random) -> None:
    """Whoever stood still stands still no more."""
    _reach_in_delivery(fleet, node, dice)
    fleet.break_session(node)
    node.lose_power(_some(node, dice))
    fleet.guarded |= node.postfix.guarded()
    fleet.frozen = None if fleet.frozen is node else fleet.frozen


def _reach_in_delivery(fleet: Fleet, node: Node, dice: random.Random) -> None:
    """Receivers have what was being delivered, or not; no line tells."""
    for queue_id in node.postfix.delivering:
        fleet.reach(node, queue_id, taken=dice.random() < 0.5)


def _some(node: Node, dice: random.Random) -> list[str]:
    return [queue_id for queue_id in node.postfix.queue if dice.random() < 0.3]
