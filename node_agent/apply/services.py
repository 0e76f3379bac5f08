"""Lets the services run a generation: each reloaded only where its files changed, in a safe order.

gateway first (it refuses what it does not know yet), then opendkim (a sender that Postfix accepts
must already have its key), Postfix last. opendkim is restarted, not reloaded: a reload would leave
the open milter session of the agent's connection on the old tables, and new domains unsigned. What
a restart cuts gets a 4xx and comes again.

Every step ends with evidence that the new files are in force: the gateway's status names the
generation, opendkim answers on its socket, Postfix logs its reload.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from dataclasses import dataclass

from node_agent.apply import mail_log, postfix_master
from node_agent.apply.command import run
from node_agent.apply.errors import ReloadFailed
from node_agent.apply.layout import Layout
from node_agent.local.errors import LocalError
from node_agent.local.gateway_blocking import BlockingGatewayClient

_SYSTEMCTL = "/usr/bin/systemctl"
_WAIT_S = 60.0
_STEP_S = 0.05


@dataclass(frozen=True)
class Changes:
    """Which services read files that differ between two generations."""

    gateway: bool
    opendkim: bool
    postfix: bool


NOTHING_CHANGED = Changes(gateway=False, opendkim=False, postfix=False)
ALL_CHANGED = Changes(gateway=True, opendkim=True, postfix=True)


def reload(
    changes: Changes, generation: int, layout: Layout, *, also_network: bool = False
) -> None:
    """Make the services run what `current` shows; start those that do not run.

    `also_network`: load the rules again, too. Raises ReloadFailed naming the first that did not.
    """
    # The rules and the route are its own; apply has no right to the network's configuration.
    _systemctl("reload-or-restart" if also_network else "start", "postfleet-net.service")
    mail_log.provide(layout)
    _systemctl("reload-or-restart" if changes.gateway else "start", "postfleet-gateway.service")
    _until(*_gateway_runs(generation))
    _systemctl("restart" if changes.opendkim else "start", "opendkim.service")
    _until(
        lambda: _accepts(str(layout.opendkim_socket)),
        lambda: f"opendkim does not answer at {layout.opendkim_socket}",
    )
    if not postfix_master.start_if_stopped(layout) and changes.postfix:
        postfix_master.reread(layout)


def _gateway_runs(generation: int) -> tuple[Callable[[], bool], Callable[[], str]]:
    """Return a test whether the gateway has this generation in force, and words if not."""
    problem = "it did not answer"

    def in_force() -> bool:
        nonlocal problem
        try:
            with BlockingGatewayClient() as gateway:
                status = gateway.status()
        except LocalError as error:
            problem = str(error)
            return False
        problem = status.config_error or f"it runs generation {status.config_generation}"
        return status.config_generation == generation and not status.config_error

    return in_force, lambda: f"the gateway did not take generation {generation}: {problem}"


def _accepts(path: str) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        return sock.connect_ex(path) == 0


def _systemctl(verb: str, unit: str) -> None:
    outcome = run(_SYSTEMCTL, verb, unit)
    if not outcome.ok:
        raise ReloadFailed(f"{outcome}; see `journalctl -e -u {unit}`")


def _until(true: Callable[[], bool], otherwise: Callable[[], str]) -> None:
    deadline = time.monotonic() + _WAIT_S
    while not true():
        if time.monotonic() > deadline:
            raise ReloadFailed(f"{otherwise()} (waited {_WAIT_S:g} s)")
        time.sleep(_STEP_S)
