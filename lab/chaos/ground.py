"""The fleet on which scenarios are played: brought up once, made whole before each of them.

It is the demonstration's fleet with short leases, a /var on each node that can be filled, and one
witness more (conntrack in the router).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from controller.postgres import EmbeddedServer
from inventory.load import load
from inventory.reference import render
from lab.chaos.errors import ChaosError, StepLate
from lab.chaos.facts import Caps, End
from lab.chaos.load import in_turn
from lab.chaos.options import Options
from lab.conntrack import ConntrackWatch
from lab.demo.adapt import Sender
from lab.demo.errors import DemoError
from lab.demo.facts import Account
from lab.demo.fleet import Fleet, run_controller
from lab.demo.mail_plan import rules
from lab.demo.operator_tools import apply_inventory
from lab.demo.phases import Phases
from lab.demo.run import boot, build_fleet
from lab.faults_controller import small_disk
from lab.faults_network import NetworkFaults
from lab.lab import Lab
from lab.node import Node

TTL_S, MARGIN_S, HEARTBEAT_S = 8.0, 2.0, 1.0
_SETTINGS = {
    "lease": f"{{ttl_s: {TTL_S}, margin_s: {MARGIN_S}, heartbeat_s: {HEARTBEAT_S}}}",
    "limits": "{mailbox_per_hour: 5000, mailbox_per_day: 5000, egress_per_hour: 50000, "
    "egress_per_day: 50000, domain_per_day: 1000000, domain_provider_per_day: 1000000, "
    "provider_egress_per_hour: 50000}",
    "probe_interval_s": "10",
}
_VAR_MIB = 1024
_CONTROLLER_MIB = 2048
_WHOLE_TIMEOUT_S = 180.0
_POLL_S = 0.2


@dataclass
class Ground:
    """What stands. `ends` are ends of connections that the lab itself brought about."""

    lab: Lab
    fleet: Fleet
    inventory: Path
    faults: NetworkFaults
    conntrack: ConntrackWatch
    mailboxes: int
    ends: list[End] = field(default_factory=list)

    @classmethod
    def up(cls, options: Options, phases: Phases) -> Ground:
        """Bring it up, provisioned as an operator does it."""
        demo = options.as_demo
        lab = boot(demo, phases, _VAR_MIB)
        # What the fleet does about unkind words is not what is broken here.
        lab.receivers.set_rules(rules(mild=True))
        small_disk(lab, _CONTROLLER_MIB)
        fleet, inventory = build_fleet(lab, demo, phases, _SETTINGS)
        faults = NetworkFaults(lab.network)
        conntrack = ConntrackWatch(lab.network).start()
        return cls(lab, fleet, inventory, faults, conntrack, options.mailboxes)

    @property
    def postgres(self) -> EmbeddedServer:
        """The controller's PostgreSQL, to be looked at and to be killed; never to be started."""
        return EmbeddedServer(self.lab.directory / "controller" / "pg")

    @property
    def senders(self) -> list[Sender]:
        """Every mailbox of the inventory, in the order in which they send."""
        return in_turn(
            (mailbox.egress, Sender(f"{mailbox.local_part}@{domain.name}", domain.client))
            for domain in load(self.inventory).inventory.domains
            for mailbox in domain.mailboxes
        )

    def witnessed_ends(self) -> list[End]:
        """What conntrack and the lab know of ends of connections to proxies. Raises ChaosError."""
        if not self.conntrack.alive:
            raise ChaosError("the conntrack watch died: there is no witness any more")
        seen = [
            End(each.at, each.flow.client, each.flow.client_port, each.flow.proxy)
            for each in list(self.conntrack.ends)
        ]
        return seen + self.ends

    def caps(self) -> Caps:
        """The ledger, read past the controller."""
        limits = load(self.inventory).inventory.fleet.limits
        with psycopg.connect(self.postgres.dsn("postgres"), connect_timeout=10) as connection:
            used = connection.execute("SELECT scope, subject, day, used FROM ledger").fetchall()
            charged = connection.execute(
                "SELECT id, charged_day FROM message WHERE charged_day IS NOT NULL"
            ).fetchall()
        most = {"mailbox": limits.mailbox_per_day, "egress": limits.egress_per_day}
        # The ledger keeps more than what receivers' records can be held against.
        return Caps(
            used={(scope, subject, day): n for scope, subject, day, n in used if scope in most},
            charged=dict(charged),
            most=most,
        )

    def accounts(self) -> dict[str, Account]:
        """The controller's account."""
        return self.fleet.accounts()

    def close(self) -> None:
        """Ends what watches; the lab stays."""
        self.conntrack.stop()
        self.fleet.close()

    def cut_power(self, node: Node) -> None:
        """Cuts a node's power at one stroke: its kernel gets no packet out any more either."""
        self.faults.cut(node.id)
        node.kill()
        self.ends.append(End(time.time(), str(node.address)))

    def start_controller(self, env: Mapping[str, str] | None = None) -> None:
        """Starts the controller again, as its supervisor would; returns when it answers."""
        self.fleet.process = run_controller(self.lab, env=env)
        self.fleet.wait_answering()

    def change_settings(self, settings: Mapping[str, str]) -> None:
        """Applies the inventory with other settings of the fleet: every node gets a new spec."""
        nodes, index = len(self.lab.nodes), self.lab.network.plan.index
        self.inventory.write_text(render(nodes, self.mailboxes, index, _SETTINGS | dict(settings)))
        apply_inventory(self.lab, self.fleet, self.inventory)

    def make_whole(self, say: Callable[[str], None] = lambda _: None) -> None:
        """Heals everything; returns when every mailbox may send. Raises ChaosError."""
        self.faults.heal()
        for node in self.lab.nodes.values():
            node.thaw()
            node.boot()
        if not self.fleet.process.alive:
            self.start_controller()
        self._even_out()
        seen = ""

        def whole() -> bool:
            nonlocal seen
            seen = self.not_whole()
            say(seen)
            return not seen

        try:
            wait_until("the fleet is whole", whole, _WHOLE_TIMEOUT_S)
        except StepLate as late:
            raise ChaosError(f"{late}: {seen}") from late

    def _even_out(self) -> None:
        """Every scenario begins with nodes that all have something to lose."""
        wait_until("the controller answers", self.fleet.answers, _WHOLE_TIMEOUT_S)
        for node in self.fleet.nodes():
            if node.cordoned or node.fenced:
                self.fleet.uncordon(node.id)
        wait_until("every node has its lease", self._all_leased, _WHOLE_TIMEOUT_S)
        if self._is_even():
            self.fleet.rebalance("the next scenario begins")
        wait_until("the load is even", self._is_even, _WHOLE_TIMEOUT_S)

    def _is_even(self) -> bool:
        return not self.fleet.is_rebalancing()

    def _all_leased(self) -> bool:
        return all(node.lease_valid for node in self.fleet.nodes())

    def not_whole(self) -> str:
        """What keeps mail from being sent by every mailbox; '' when nothing does."""
        try:
            nodes, summary = self.fleet.nodes(), self.fleet.summary()
        except DemoError as error:
            return str(error)
        away = [n.id for n in nodes if not n.lease_valid]
        behind = [n.id for n in nodes if n.running_generation != n.wanted_generation]
        words = [
            f"no lease: {', '.join(away)}" if away else "",
            f"spec not running: {', '.join(behind)}" if behind else "",
            f"{summary.egresses_suspended} egresses suspended" * bool(summary.egresses_suspended),
        ]
        held = sum(node.mailboxes for node in nodes)
        if held != self.mailboxes:
            words.append(f"{held} of {self.mailboxes} mailboxes are on nodes")
        return ", ".join(filter(None, words))


def wait_until(what: str, true: Callable[[], bool], within_s: float) -> float:
    """Returns when it is true, with the seconds it took. Raises StepLate."""
    began = time.monotonic()
    while True:
        if true():
            return time.monotonic() - began
        if time.monotonic() - began > within_s:
            raise StepLate(f"not within {within_s:.0f} s: {what}")
        time.sleep(_POLL_S)
