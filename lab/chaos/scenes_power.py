"""Scenarios: a node loses its power."""

from __future__ import annotations

from lab.chaos.scene import FENCED_S, UNPLANNED_S, Scene


def power_lost(scene: Scene) -> None:
    """A node's power goes for good: its mailboxes send from others, what it had waits for it."""
    node = scene.victim()
    scene.fault(node)
    scene.ground.cut_power(node)
    scene.may_wait_on.add(node.id)
    scene.until_moved(node, UNPLANNED_S)
    scene.pause(10)


def power_back(scene: Scene) -> None:
    """A node's power goes and comes back after its shard moved: what it still has ends too."""
    node = scene.victim()
    scene.fault(node)
    scene.ground.cut_power(node)
    scene.until_moved(node, UNPLANNED_S)
    scene.pause(5)
    scene.ground.faults.heal()
    node.boot()
    scene.until_whole(60)
    scene.pause(10)


def fence(scene: Scene) -> None:
    """A node's power goes, an operator attests it (node fence): nobody waits for the lease."""
    node = scene.victim()
    scene.ground.cut_power(node)
    scene.pause(1)
    scene.fault(node, FENCED_S)
    scene.ground.fleet.fence(node.id, "its power is off")
    scene.until_moved(node, FENCED_S)
    scene.pause(5)
    scene.ground.faults.heal()
    node.boot()
    scene.until_whole(60)
    scene.pause(5)
