"""Scenarios: what an operator does while mail flows, by intent and by mistake."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from lab.chaos.errors import ChaosError
from lab.chaos.scene import DRAINED_S, Scene
from lab.demo.fleet import run_controller
from lab.demo.operator_tools import build_release, fab
from lab.lab import Lab
from lab.settings import CHECKOUT

_SHIPPED = ("controller", "node_agent", "provisioning", "inventory", "templates", "protos")
_FILES = ("pyproject.toml", "uv.lock", "README.md")
_VERSION = re.compile(r'^version = "([\d.]+)"$', re.MULTILINE)


def drain(scene: Scene) -> None:
    """A node is drained (node drain) while it sends: its egresses go over in order, and back."""
    fleet, node = scene.ground.fleet, scene.victim()
    scene.fault(node, DRAINED_S)
    fleet.drain(node.id, "the scenario wants it empty")
    scene.until_moved(node, 3 * DRAINED_S)
    scene.pause(5)
    fleet.uncordon(node.id)
    fleet.rebalance("the node is back")
    scene.until("the load is even again", lambda: not fleet.is_rebalancing(), 90)
    scene.until_whole(60)
    scene.pause(5)


def deploy(scene: Scene) -> None:
    """A new version comes to all nodes (fab deploy), one after the other; no mail is cut."""
    ground = scene.ground
    scene.say("a new version is built")
    release = _next_release(ground.lab)
    fab("deploy", ground.lab, ground.fleet, ground.inventory, scene.say, release)
    scene.until_whole(60)
    scene.pause(5)


def two_controllers(scene: Scene) -> None:
    """A second controller is started by mistake on the same state, and ended again."""
    ground = scene.ground
    second = run_controller(ground.lab, number=1)
    scene.pause(15)
    if not second.alive:
        raise ChaosError(f"the second controller ended by itself:\n{second.log_tail()}")
    second.stop()
    scene.until("the first controller answers", ground.fleet.answers, 30)
    scene.pause(5)
    scene.until_whole(60)
    scene.pause(5)


def _next_release(lab: Lab) -> Path:
    """This checkout with a higher version number, built for nodes."""
    checkout = lab.directory / "next"
    for name in _SHIPPED:
        shutil.copytree(
            CHECKOUT / name,
            checkout / name,
            ignore=shutil.ignore_patterns("__pycache__"),
            dirs_exist_ok=True,
        )
    for name in _FILES:
        shutil.copy(CHECKOUT / name, checkout / name)
    project = checkout / "pyproject.toml"
    project.write_text(_VERSION.sub(r'version = "\1.1"', project.read_text(), count=1))
    return build_release(lab, checkout, "release-next")
