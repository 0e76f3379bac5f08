"""postfleet-gateway: the process. Puts the parts together, runs the loop, hands over at the end.

SIGHUP reads the configuration again; SIGTERM and SIGINT hand running connections over to the next
process (under systemd; without, they are cut) and end this one. Starts without a lease and, when
the configuration cannot be read, without egresses: it answers 421 and waits for a better one.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import signal
import socket
import sys
from collections.abc import Sequence

import structlog

from node_agent.gateway import handover, metrics, options, systemd
from node_agent.gateway.config import load
from node_agent.gateway.control import ControlServer
from node_agent.gateway.deadman import Deadman
from node_agent.gateway.errors import ConfigError
from node_agent.gateway.gate import Gate
from node_agent.gateway.loop import Loop
from node_agent.gateway.marks import Marks
from node_agent.gateway.options import Options
from node_agent.gateway.orders import Orders
from node_agent.gateway.resolver import Resolver
from node_agent.gateway.version import version

log = structlog.get_logger(__name__)

_BACKLOG = 4096


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until told to end. Return the exit status: 0, or 1 when it could not start."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    try:
        return _serve(options.parse(arguments))
    except OSError as error:
        log.error("cannot start", error=str(error))
        return 1


def _serve(settings: Options) -> int:
    inherited = systemd.inherited_fds()
    loop = Loop()
    gate = Gate(loop, Resolver(loop), Deadman(), marks=Marks(loop, settings.marks))
    orders = Orders(gate)
    _reload(gate, orders, settings)
    taken = handover.take_over(gate, [fd for name, fd in inherited if name == handover.STORE_NAME])
    listener, control = _listeners(settings, inherited)
    ControlServer(loop, control, _uids(settings.control_users), orders.carry_out)
    gate.listen(listener)
    if settings.metrics is not None:
        metrics.serve(gate, *settings.metrics)
    loop.on_signal(signal.SIGHUP, lambda: _reload(gate, orders, settings))
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.on_signal(number, loop.stop)
    systemd.notify("READY=1")
    log.info("ready", version=version(), taken_over=taken, listen=listener.getsockname())
    loop.run()
    return _end(gate)


def _reload(gate: Gate, orders: Orders, settings: Options) -> None:
    try:
        config = load(settings.config)
    except ConfigError as error:
        orders.config_error = str(error)
        gate.tally.reloads_failed += 1
        log.error(
            "configuration not read, the one before stays in force",
            error=str(error),
            generation=gate.rules.config.generation,
        )
        return
    orders.config_error = ""
    gate.configure(config)
    log.info("configured", generation=config.generation, egresses=len(config.egresses))


def _listeners(
    settings: Options, inherited: list[tuple[str, int]]
) -> tuple[socket.socket, socket.socket]:
    """Return (mail, control) listeners: those of the socket unit, else of our own making."""
    sockets = [socket.socket(fileno=fd) for name, fd in inherited if name != handover.STORE_NAME]
    mail = next((sock for sock in sockets if sock.family == socket.AF_INET), None)
    control = next((sock for sock in sockets if sock.family == socket.AF_UNIX), None)
    if mail is None:
        mail = socket.create_server(settings.listen, backlog=_BACKLOG)
    if control is None:
        control = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        with contextlib.suppress(FileNotFoundError):
            settings.control.unlink()
        before = os.umask(0o117)
        try:
            control.bind(str(settings.control))
        finally:
            os.umask(before)
        control.listen(16)
    return mail, control


def _uids(users: Sequence[str]) -> frozenset[int]:
    """Return root's, our own and these users' ids; a user that does not exist has none."""
    uids = {0, os.geteuid()}
    for user in users:
        try:
            uids.add(pwd.getpwnam(user).pw_uid)
        except KeyError:
            log.warning("no such user, it cannot use the control socket", user=user)
    return frozenset(uids)


def _end(gate: Gate) -> int:
    if not systemd.under_systemd():
        log.info("ended", connections_cut=len(gate.pumps))
        return 0
    systemd.notify("STOPPING=1")
    try:
        log.info("handed over", connections=handover.hand_over(gate))
    except OSError as error:
        log.error("running connections could not be handed over and are cut", error=str(error))
    return 0


if __name__ == "__main__":
    sys.exit(main())
