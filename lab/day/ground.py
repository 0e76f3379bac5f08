"""The fleet of the day: brought up as in the demonstration, then put under the fast clock."""

from __future__ import annotations

import json
import signal
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from controller.postgres import EmbeddedServer
from controller.postgres.binaries import Binaries, find_binaries
from inventory.mail import MailDefaults
from lab.chaos.ground import wait_until
from lab.day.clock import FastClock
from lab.day.hidden import TAKES
from lab.day.options import Options
from lab.demo.fleet import Fleet, run_controller
from lab.demo.phases import Phases
from lab.demo.run import boot, build_fleet
from lab.faults_clock import environment, library
from lab.lab import Lab
from lab.priority import being_first
from lab.receivers.rules import Rules
from lab.traces import MACHINE, start_time

# The day that is lived and counted ends before its windows do.
OPENS, CLOSES, LENGTH = 8, 19, 10
# What one egress of the reference inventory carries.
MAILBOXES_PER_EGRESS = 8
_FREE = 1_000_000
_WHOLE_TIMEOUT_S = 60.0


def settings(messages: int, hour_utc: int, speed: int) -> dict[str, str]:
    """Settings of the fleet: it lives where the day's windows have just opened.

    Nothing of ours limits it but what a mailbox may send in the day, so that what receivers take
    is what binds. `hour_utc`: the hour now. Postfix tries again as often in an hour of the fleet as
    it does by default in a true one.
    """
    usual = MailDefaults()
    retries = {
        "minimal_backoff_s": max(1, usual.minimal_backoff_s // speed),
        "maximal_backoff_s": usual.maximal_backoff_s // speed,
        "queue_lifetime_s": max(60, usual.queue_lifetime_s // speed),
    }
    east = (OPENS - hour_utc + 12) % 24 - 12
    limits = {
        "mailbox_per_hour": messages,
        "mailbox_per_day": messages,
        **dict.fromkeys(
            (
                "egress_per_hour",
                "egress_per_day",
                "domain_per_day",
                "domain_provider_per_day",
                "provider_egress_per_hour",
            ),
            _FREE,
        ),
    }
    return {
        # The names of these zones have the sign of POSIX: west is positive.
        "time_zone": f"Etc/GMT{-east:+d}" if east else "UTC",
        "pacing": f"{{windows: ['daily {OPENS:02}:00-{CLOSES:02}:00'], min_gap_s: 60}}",
        "limits": _flow(limits),
        "mail": _flow(retries),
        # Heartbeats tell what is due. No lease is to end because the machine is full.
        "lease": "{ttl_s: 20, margin_s: 4, heartbeat_s: 1}",
    }


def _flow(values: Mapping[str, int]) -> str:
    """A mapping of YAML on one line."""
    return "{" + ", ".join(f"{name}: {value}" for name, value in values.items()) + "}"


@dataclass
class Ground:
    """What stands. The clock does not go yet."""

    lab: Lab
    fleet: Fleet
    inventory: Path
    clock: FastClock

    @classmethod
    def up(cls, options: Options, rules: Rules, phases: Phases) -> Ground:
        """Brings it up, provisioned as an operator does it."""
        demo = options.as_demo
        lab = boot(demo, phases)
        lab.receivers.set_rules(rules)
        hour = datetime.now(UTC).hour
        given = settings(options.messages, hour, options.speed)
        fleet, inventory = build_fleet(lab, demo, phases, given)
        with phases.phase("Put controller and PostgreSQL under a clock that can run"):
            clock = FastClock(_clock_file(lab), options.speed)
            _under(lab, fleet, clock)
        return cls(lab, fleet, inventory, clock)


def _under(lab: Lab, fleet: Fleet, clock: FastClock) -> None:
    fleet.process.stop()
    _server(lab).stop()
    env = environment(library(), clock.offset)
    server = _server(lab, _wrapped(clock.offset.parent, env))
    with being_first():
        server.start()
    pid = server.pid()
    if pid is not None:
        lab.traces.note("process", str(pid), start_time(pid) or "")
    # A controller takes up a PostgreSQL of its own that runs already.
    fleet.process = run_controller(lab, env=env, more=_knows_receivers(lab))
    fleet.wait_answering()
    wait_until("every node has its lease", lambda: _all_leased(fleet), _WHOLE_TIMEOUT_S)


def _knows_receivers(lab: Lab) -> list[str]:
    """Options with which a controller finds the lab's receivers to be whom their names say."""
    table = lab.directory / "providers.toml"
    table.write_text(
        "".join(
            f"[{provider.name}]\nmx = {json.dumps([x.host for x in provider.exchangers])}\n"
            for provider in lab.receivers.providers
            if provider.name in TAKES
        )
    )
    return ["--providers", str(table), "--dns", f"{lab.network.plan.resolver}:53"]


def down(ground: Ground) -> None:
    """Ends what runs under the clock, at once: in order it would sleep (see `lab.faults_clock`)."""
    ground.clock.stop()
    ground.fleet.close()
    ground.fleet.process.signal(signal.SIGKILL)
    _server(ground.lab).stop()


def _server(lab: Lab, binaries: Binaries | None = None) -> EmbeddedServer:
    return EmbeddedServer(lab.directory / "controller" / "pg", binaries)


def _all_leased(fleet: Fleet) -> bool:
    return all(node.lease_valid for node in fleet.nodes())


def _clock_file(lab: Lab) -> Path:
    """Where PostgreSQL's user can read it, wherever the checkout is."""
    folder = MACHINE / f"{lab.name}-clock"
    lab.traces.note("directory", str(folder))
    folder.mkdir(mode=0o755, exist_ok=True)
    return folder / "offset"


def _wrapped(folder: Path, env: dict[str, str]) -> Binaries:
    """PostgreSQL's programs, under the clock: a server is started with a bare environment."""
    real = find_binaries()
    for name in ("initdb", "postgres", "pg_ctl"):
        script = folder / name
        words = " ".join(f"{key}={value}" for key, value in env.items())
        script.write_text(f'#!/bin/sh\nexec env {words} {real.path(name)} "$@"\n')
        script.chmod(script.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
    return Binaries(folder, real.major)
