"""Scenarios: a node's lines break, in one direction, again and again, or only in part."""

from __future__ import annotations

from lab.chaos.scene import UNPLANNED_S, Scene
from lab.faults_network import Direction

_FLAPS = 10
# Packets vanish: a probe of 10 s for the suspicion, another for certainty, the move, and a good
# probe on the other node.
_FOUND_OUT_S = 50.0


def cut_from_controller(scene: Scene) -> None:
    """A node loses the controller and keeps the proxies: it stops before others take over."""
    node = scene.victim()
    scene.fault(node)
    with scene.ground.faults.cut(node.id, "controller"):
        scene.until_moved(node, UNPLANNED_S)
        scene.pause(8)
    scene.until_whole(60)
    scene.pause(5)


def cut_from_proxies(scene: Scene) -> None:
    """A node loses the proxies and keeps the controller: what it cannot reach goes to others."""
    node = scene.victim()
    scene.fault(node, within_s=_FOUND_OUT_S)
    with scene.ground.faults.cut(node.id, "proxies"):
        scene.until_moved(node, _FOUND_OUT_S)
        scene.pause(8)
    scene.until_whole(90)
    scene.pause(5)


def one_way(scene: Scene) -> None:
    """A node's packets to the controller vanish; later another node hears nothing of it."""
    first = scene.victim()
    for node, direction in ((first, Direction.OUT), (scene.victim(but=first), Direction.IN)):
        scene.fault(node)
        with scene.ground.faults.cut(node.id, "controller", direction):
            scene.until_moved(node, UNPLANNED_S)
            scene.pause(3)
        scene.until_whole(60)
        scene.pause(3)


def flapping(scene: Scene) -> None:
    """A node's line to everybody goes and comes ten times, for up to half a lease."""
    node = scene.victim()
    for _ in range(_FLAPS):
        with scene.ground.faults.cut(node.id):
            scene.moment(0.5, 4)
        scene.moment(0.5, 4)
    scene.until_whole(60)
    scene.pause(5)


def lossy(scene: Scene) -> None:
    """A node's line loses 30 % of all packets, in both directions, for 30 s."""
    node = scene.victim()
    with scene.ground.faults.lose(node.id, percent=30):
        scene.pause(30)
    scene.until_whole(90)
    scene.pause(5)
