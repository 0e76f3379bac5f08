"""Starts the lab's DNS in its own namespace: knot, then unbound with knot's key as trust anchor."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from lab.dns_config import (
    AUTHORITY,
    RESOLVER,
    SIGNED_ZONES,
    ZONES,
    TsigKey,
    knot_config,
    unbound_config,
    zone_file,
)
from lab.dns_lookup import Lookup
from lab.dns_update import Publisher, wait_answering
from lab.errors import LabError
from lab.network import Network, upstream_resolver
from lab.network_namespace import Process
from lab.priority import first

if TYPE_CHECKING:
    from lab.lab import Lab

PART = "dns"
_START_TIMEOUT_S = 20.0


def start(lab: Lab) -> DnsServer:
    """Starts the DNS of a lab (`lab.services`)."""
    return DnsServer.start(lab.network, lab.directory / "dns")


def attach(lab: Lab) -> DnsServer:
    """The DNS of a lab that stands."""
    return DnsServer.attach(lab.network, lab.directory / "dns")


class DnsServer:
    """The DNS of one lab. `start` makes it, `attach` takes up one that stands."""

    def __init__(self, folder: Path, key: TsigKey, source: str) -> None:
        self.folder = folder
        self.key = key
        self._source = source
        self.processes: list[Process] = []

    @classmethod
    def start(cls, network: Network, folder: Path) -> DnsServer:
        """Makes the namespace and both daemons.

        Raises LabError with the daemon's last words when one does not come up.
        """
        _write_files(folder)
        server = cls.attach(network, folder)
        for_host = str(network.plan.resolver)
        addresses = [f"{each}/32" for each in (AUTHORITY, RESOLVER, for_host)]
        namespace = network.attach(PART, addresses)
        knot = namespace.popen(first(["knotd", "-c", str(folder / "knot.conf")]), log="knot")
        server._wait(knot, AUTHORITY)
        (folder / "test.anchor").write_text(_anchors(folder))
        config = folder / "unbound.conf"
        config.write_text(unbound_config(folder, str(upstream_resolver()), [for_host]))
        unbound = namespace.popen(first(["unbound", "-d", "-c", str(config)]), log="unbound")
        server._wait(unbound, RESOLVER)
        server.processes = [knot, unbound]
        return server

    @classmethod
    def attach(cls, network: Network, folder: Path) -> DnsServer:
        """The DNS that was started for this lab, perhaps by another process."""
        key = TsigKey(**json.loads((folder / "tsig.json").read_text()))
        return cls(folder, key, str(network.plan.controller))

    @property
    def publisher(self) -> Publisher:
        """What changes the zones."""
        return Publisher(self.key, source=self._source)

    def lookup(self, server: str = RESOLVER) -> Lookup:
        """A fresh reader (nothing cached) at the resolver, or at the authority."""
        return Lookup(server, source=self._source)

    def _wait(self, process: Process, address: str) -> None:
        deadline = time.monotonic() + _START_TIMEOUT_S
        while True:
            try:
                wait_answering(address, 53, self._source, 0.5)
            except LabError as error:
                if process.alive and time.monotonic() < deadline:
                    continue
                raise LabError(
                    f"{process.log.stem} does not answer at {address} ({error}); it said:\n"
                    f"{process.log_tail()}"
                ) from error
            return


def _write_files(folder: Path) -> None:
    (folder / "zones").mkdir(parents=True, exist_ok=True)
    (folder / "db").mkdir(exist_ok=True)
    key = TsigKey("postfleet-lab", base64.b64encode(os.urandom(32)).decode())
    path = folder / "tsig.json"
    path.touch(mode=0o600)
    path.write_text(json.dumps(asdict(key)))
    for zone in ZONES:
        (folder / "zones" / f"{zone}.zone").write_text(zone_file(zone))
    config = folder / "knot.conf"
    config.touch(mode=0o600)
    config.write_text(knot_config(folder, key))


def _anchors(folder: Path) -> str:
    """DS records of the signed zones, as soon as knot has made their keys."""
    lines = []
    for zone in SIGNED_ZONES:
        deadline = time.monotonic() + _START_TIMEOUT_S
        while True:
            done = subprocess.run(
                ["keymgr", "-c", str(folder / "knot.conf"), f"{zone}.", "ds"],
                capture_output=True,
                text=True,
            )
            if done.returncode == 0 and " DS " in done.stdout:
                lines.append(done.stdout)
                break
            if time.monotonic() > deadline:
                raise LabError(f"knot made no key for zone {zone}: {done.stderr.strip()}")
            time.sleep(0.1)
    return "".join(lines)
