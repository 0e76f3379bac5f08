"""The receivers of one lab: their namespace, one process per provider, rules and records.

`start(lab)` makes them and publishes their names (A, PTR, MX, TLSA) where the lab has a DNS.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from lab.dns_update import Record as DnsRecord
from lab.network import Network
from lab.network_namespace import Process
from lab.priority import first
from lab.receivers.errors import ReceiverError
from lab.receivers.records import Record, read_records
from lab.receivers.rules import Rules, write_rules
from lab.receivers.settings import (
    Provider,
    ReceiverSettings,
    read_settings,
    reference_providers,
)
from lab.receivers.tls import make_authority, make_certificate, tlsa_data
from lab.settings import CHECKOUT

if TYPE_CHECKING:
    from lab.lab import Lab

PART = "receivers"
_START_TIMEOUT_S = 60.0


def start(lab: Lab) -> Receivers:
    """Starts the receivers of a lab (`lab.services`)."""
    receivers = Receivers.start(lab.network, lab.directory / "receivers", reference_providers())
    if lab.dns is not None:
        lab.dns.publisher.publish(receivers.dns_records())
    return receivers


def attach(lab: Lab) -> Receivers:
    """The receivers of a lab that stands."""
    return Receivers(lab.network, lab.directory / "receivers")


class Receivers:
    """All receivers of one lab. `folder` holds settings, rules, certificates and records."""

    def __init__(self, network: Network, folder: Path) -> None:
        self._network = network
        self.folder = folder
        self.settings = read_settings(folder / "settings.json")
        self.processes: dict[str, Process] = {}

    @classmethod
    def start(cls, network: Network, folder: Path, providers: Iterable[Provider]) -> Receivers:
        """Makes namespace, certificates and processes. Raises ReceiverError."""
        folder.mkdir(parents=True, exist_ok=True)
        settings = ReceiverSettings(folder, folder / "tls", folder / "rules.json", tuple(providers))
        settings.write(folder / "settings.json")
        write_rules(settings.rules, Rules())
        make_authority(settings.tls)
        addresses = []
        for provider in settings.providers:
            hosts = [exchanger.host for exchanger in provider.exchangers]
            theirs = [exchanger.address for exchanger in provider.exchangers]
            make_certificate(settings.tls, provider.name, hosts, theirs)
            addresses += theirs
        network.attach(PART, [f"{address}/32" for address in addresses])
        receivers = cls(network, folder)
        for provider in settings.providers:
            receivers.start_provider(provider.name)
        receivers.wait_ready()
        return receivers

    @property
    def providers(self) -> tuple[Provider, ...]:
        """Who they are."""
        return self.settings.providers

    def start_provider(self, name: str) -> None:
        """Starts one provider's process; `wait_ready` says when it answers."""
        (self.folder / name / "ready").unlink(missing_ok=True)
        argv = [sys.executable, "-m", "lab.receivers"]
        argv += ["--settings", str(self.folder / "settings.json"), "--provider", name]
        namespace = self._network.namespace(PART)
        self.processes[name] = namespace.popen(first(argv), log=f"receiver-{name}", cwd=CHECKOUT)

    def wait_ready(self) -> None:
        """Returns when every started provider listens. Raises ReceiverError with its last words."""
        deadline = time.monotonic() + _START_TIMEOUT_S
        for name, process in self.processes.items():
            while not (self.folder / name / "ready").exists():
                if not process.alive or time.monotonic() > deadline:
                    raise ReceiverError(f"receiver {name} does not start: {process.log_tail()}")
                time.sleep(0.05)

    def set_rules(self, rules: Rules) -> None:
        """Puts other rules in force for all providers; they notice at their next question."""
        write_rules(self.settings.rules, rules)

    def records(self, provider: str | None = None) -> Iterator[Record]:
        """What was seen so far, provider by provider, each in its order."""
        for each in self.providers:
            if provider in (None, each.name):
                yield from read_records(self.folder / each.name)

    def raw_path(self, record: Record) -> Path:
        """Where the octets of a kept message are."""
        return self.folder / record.provider / record.raw

    def dns_records(self) -> list[DnsRecord]:
        """What the DNS must say of them: A, PTR and TLSA of each MX host, MX of each domain."""
        found = []
        for provider in self.providers:
            tlsa = tlsa_data(self.settings.tls, provider.name)
            for exchanger in provider.exchangers:
                found.append(DnsRecord(exchanger.host, "A", exchanger.address))
                found.append(DnsRecord(f"_25._tcp.{exchanger.host}", "TLSA", tlsa))
                reverse = ".".join(reversed(exchanger.address.split(".")))
                found.append(DnsRecord(f"{reverse}.in-addr.arpa", "PTR", f"{exchanger.host}."))
            for domain in provider.domains:
                found += [
                    DnsRecord(domain, "MX", f"{exchanger.preference} {exchanger.host}.")
                    for exchanger in provider.exchangers
                ]
        return found
