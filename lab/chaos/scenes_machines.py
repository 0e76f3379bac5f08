"""Scenarios: clocks that jump, disks that are full, a mail log that is taken away."""

from __future__ import annotations

import signal

from lab import faults_clock, faults_controller, faults_node
from lab.chaos.scene import Scene

_HOUR_S = 3600


def agent_clock(scene: Scene) -> None:
    """The wall clock of a node's agent is stepped an hour ahead, back, and behind."""
    node = scene.victim()
    offset = faults_clock.put_agent_under(node)
    try:
        scene.until_whole(30)
        for seconds in (_HOUR_S, 0, -_HOUR_S):
            faults_clock.step(offset, seconds)
            scene.pause(12)
            scene.until(f"{node.id} kept its lease", lambda: scene.has_lease(node), 1)
        faults_clock.step(offset, 0)
        scene.pause(5)
    finally:
        faults_clock.release_agent(node)
    scene.until_whole(60)


def controller_clock(scene: Scene) -> None:
    """The controller's wall clock is stepped an hour ahead, back, and behind; not PostgreSQL's."""
    ground = scene.ground
    offset = ground.lab.directory / "clock"
    faults_clock.step(offset, 0)
    env = faults_clock.environment(faults_clock.library(), offset)
    ground.fleet.process.stop()
    try:
        ground.start_controller(env)
        scene.until_whole(30)
        for seconds in (_HOUR_S, 0, -_HOUR_S):
            faults_clock.step(offset, seconds)
            scene.pause(12)
            scene.until("the controller answers", ground.fleet.answers, 5)
            scene.until("no node lost its lease", scene.all_have_leases, 1)
    finally:
        # In order it would stop PostgreSQL and wait for it, which sleeps (see faults_clock).
        ground.fleet.process.signal(signal.SIGKILL)
        ground.start_controller()
    scene.until_whole(60)


def node_disk_full(scene: Scene) -> None:
    """A node's /var is full for 20 s: it takes no more work and forgets none."""
    node = scene.victim()
    faults_node.fill_disk(node)
    try:
        scene.pause(20)
    finally:
        faults_node.free_disk(node)
    scene.until_whole(60)
    scene.pause(5)


def postgres_disk_full(scene: Scene) -> None:
    """PostgreSQL's disk is full for 15 s, longer than a lease, and then has room again."""
    lab = scene.ground.lab
    faults_controller.fill_disk(lab)
    try:
        scene.pause(15)
    finally:
        faults_controller.free_disk(lab)
    scene.until_whole(90)
    scene.pause(5)


def log_rotated(scene: Scene) -> None:
    """A node's mail log is rotated by logrotate, again and again, while mail flows."""
    node = scene.victim()
    for _ in range(min(scene.rounds, 5)):
        node.run("logrotate -f /etc/logrotate.d/postfleet")
        scene.moment(1, 4)
    scene.until_whole(60)
    scene.pause(5)


def log_truncated(scene: Scene) -> None:
    """A node's mail log is truncated, again and again: lines nobody has read yet are gone."""
    node = scene.victim()
    for _ in range(min(scene.rounds, 5)):
        node.run("truncate -s 0 /var/log/postfleet/mail.log")
        scene.moment(1, 4)
    scene.until_whole(60)
    scene.pause(5)
