"""Scenarios: a node loses its power."""

from __future__ import annotations

from lab.chaos.scene import UNPLANNED_S, Scene


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
