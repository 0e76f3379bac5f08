"""Lets the services run a generation: each reloaded only where its files changed, in a safe order.

gateway first (it refuses what it does not know yet), then opendkim (a sender that Postfix accepts
must already have its key), Postfix last. opendkim is restarted, not reloaded: a reload would leave
the open milter session of the agent's connection on the old tables, and new domains unsigned. What
a restart cuts gets a 4xx and comes again.

Every step ends with evidence that the new files are in force: the gateway's status names the
generation, opendkim answers on its socket, Postfix logs its reload.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from node_agent.apply import mail_log
from node_agent.apply.command import Outcome, run
from node_agent.apply.errors import ReloadFailed
from node_agent.apply.layout import Layout
from node_agent.local.errors import LocalError
from node_agent.local.gateway_blocking import BlockingGatewayClient

_SYSTEMCTL = "/usr/bin/systemctl"
_WAIT_S = 20.0
_STEP_S = 0.05


@dataclass(frozen=True)
class Changes:
    """Which services read files that differ between two generations."""

    gateway: bool
    opendkim: bool
    postfix: bool


NOTHING_CHANGED = Changes(gateway=False, opendkim=False, postfix=False)


def reload(changes: Changes, generation: int, layout: Layout) -> None:
    """Make the services run what `current` shows; start those that do not run.

    Raises ReloadFailed naming the first that did not.
    """
    establish_network()
    mail_log.provide(layout)
    if changes.gateway:
        _reload_gateway(generation)
    _must(run(_SYSTEMCTL, "restart" if changes.opendkim else "start", "opendkim.service"))
    _until(layout.opendkim_socket.is_socket, f"opendkim made no {layout.opendkim_socket}")
    if not run("/usr/sbin/postfix", "status").ok:
        # Not "start": on Debian 12 the unit may be active while the daemons are not.
        _must(run(_SYSTEMCTL, "restart", postfix_unit()))
    elif changes.postfix:
        _reload_postfix(layout)


def establish_network() -> None:
    """Have the firewall rules and the route put in place again; nothing changes where they are.

    The unit does it, so that apply itself needs no right to the network's configuration.
    """
    _must(run(_SYSTEMCTL, "reload-or-restart", "postfleet-net.service"))


def stop_postfix() -> None:
    """Stop Postfix: there is no generation that it could run."""
    _must(run(_SYSTEMCTL, "stop", postfix_unit()))


def postfix_unit() -> str:
    """Return the unit that holds the daemons; on Debian 12 postfix.service is only a shell."""
    kind = run(_SYSTEMCTL, "show", "--property=Type", "--value", "postfix.service")
    return "postfix@-.service" if kind.stdout.strip() == "oneshot" else "postfix.service"


def _reload_gateway(generation: int) -> None:
    unit = "postfleet-gateway.service"
    if run(_SYSTEMCTL, "is-active", "--quiet", unit).ok:
        _must(run(_SYSTEMCTL, "reload", unit))
    else:
        _must(run(_SYSTEMCTL, "start", unit))
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

    _until(in_force, lambda: f"the gateway did not take generation {generation}: {problem}")


def _reload_postfix(layout: Layout) -> None:
    offset = mail_log.size(layout.mail_log)
    _must(run(_SYSTEMCTL, "reload", postfix_unit()))
    _until(
        lambda: "reload -- version" in mail_log.added_since(layout.mail_log, offset),
        f"Postfix logged no reload in {layout.mail_log}",
    )


def _must(outcome: Outcome) -> None:
    if not outcome.ok:
        raise ReloadFailed(f"{outcome}; see `journalctl -e`")


def _until(true: Callable[[], bool], otherwise: str | Callable[[], str]) -> None:
    deadline = time.monotonic() + _WAIT_S
    while not true():
        if time.monotonic() > deadline:
            words = otherwise if isinstance(otherwise, str) else otherwise()
            raise ReloadFailed(f"{words} (waited {_WAIT_S:g} s)")
        time.sleep(_STEP_S)
