"""Scenarios: processes die at random points while mail flows, or hang past their lease."""

from __future__ import annotations

import os
import signal
from functools import partial

from lab.chaos.scene import UNPLANNED_S, Scene
from lab.faults_node import processes, signal_process
from lab.node import Node
from lab.traces import signal_exactly


def kill_agent(scene: Scene) -> None:
    """kill -9 of an agent, again and again, on one node after the other."""
    _kill_on_nodes(scene, "postfleet-agent")


def kill_gateway(scene: Scene) -> None:
    """kill -9 of a gateway, again and again: its connections end in the middle of anything."""
    _kill_on_nodes(scene, "postfleet-gateway")


def kill_postfix(scene: Scene) -> None:
    """kill -9 of Postfix's master, again and again; systemd starts it again."""
    _kill_on_nodes(scene, "master")


def kill_apply(scene: Scene) -> None:
    """kill -9 of apply in the middle of a swap: the inventory changes again and again."""
    for round_ in range(scene.rounds):
        scene.say(f"change {round_ + 1} of {scene.rounds}")
        scene.ground.change_settings({"mail": _backoff(30 + round_)})
        node = scene.chance.choice([*scene.ground.lab.nodes.values()])
        scene.until(f"apply runs on {node.id}", partial(_runs, node, _APPLY), 15)
        scene.moment(0, 1.5)
        for pid, started in processes(node, _APPLY):
            signal_exactly(pid, started, signal.SIGKILL)
        scene.moment(0.2, 1)
    scene.until_whole(90)
    scene.pause(5)


def kill_controller(scene: Scene) -> None:
    """kill -9 of the controller, again and again; its supervisor starts it again."""
    for round_ in range(scene.rounds):
        scene.say(f"kill {round_ + 1} of {scene.rounds}")
        scene.ground.fleet.process.signal(signal.SIGKILL)
        scene.moment(0, 2)
        scene.ground.start_controller()
        scene.moment()
    scene.until_whole(60)
    scene.pause(5)


def kill_postgres(scene: Scene) -> None:
    """kill -9 of PostgreSQL, again and again; the controller starts it again."""
    for round_ in range(scene.rounds):
        scene.until("PostgreSQL runs", lambda: scene.ground.postgres.pid() is not None, 30)
        scene.say(f"kill {round_ + 1} of {scene.rounds}")
        pid = scene.ground.postgres.pid()
        if pid is not None:
            os.kill(pid, signal.SIGKILL)
        scene.until("the controller answers", scene.ground.fleet.answers, 60)
        scene.moment()
    scene.until_whole(60)
    scene.pause(5)


def agent_stopped(scene: Scene) -> None:
    """An agent is stopped (SIGSTOP) past its lease and continued; its gateway fences by itself."""
    node = scene.victim()
    scene.fault(node)
    signal_process(node, "postfleet-agent", signal.SIGSTOP)
    scene.until_moved(node, UNPLANNED_S)
    scene.pause(5)
    signal_process(node, "postfleet-agent", signal.SIGCONT)
    scene.until_whole(60)
    scene.pause(5)


def host_frozen(scene: Scene) -> None:
    """All processes of a node are frozen (cgroup freezer) past the lease and thawed."""
    node = scene.victim()
    scene.fault(node)
    node.freeze()
    scene.until_moved(node, UNPLANNED_S)
    scene.pause(5)
    node.thaw()
    scene.until_whole(60)
    scene.pause(5)


_APPLY = "postfleet-apply"


def _backoff(longest_s: int) -> str:
    return f"{{minimal_backoff_s: 5, maximal_backoff_s: {longest_s}, queue_lifetime_s: 3600}}"


def _kill_on_nodes(scene: Scene, name: str) -> None:
    nodes = [*scene.ground.lab.nodes.values()]
    for round_ in range(scene.rounds):
        node = scene.chance.choice(nodes)
        scene.say(f"kill {round_ + 1} of {scene.rounds}: {name} on {node.id}")
        scene.until(f"{name} runs on {node.id}", partial(_runs, node, name), 30)
        for pid, started in processes(node, name):
            signal_exactly(pid, started, signal.SIGKILL)
        scene.moment()
    scene.until_whole(60)
    scene.pause(5)


def _runs(node: Node, name: str) -> bool:
    return bool(processes(node, name))
