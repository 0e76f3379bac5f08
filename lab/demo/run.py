"""The demonstration, phase by phase. Each phase uses what an operator has; none prepares a node."""

from __future__ import annotations

import secrets
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from controller.cli.input import read_path
from controller.cli.input_message import InputError
from inventory.load import load
from inventory.reference import plan, render
from lab.demo.adapt import Letter, Sender, letters
from lab.demo.compare import compare
from lab.demo.errors import DemoError
from lab.demo.facts import Submitted
from lab.demo.fleet import Fleet
from lab.demo.gather import gather
from lab.demo.mail_plan import recipients, rules
from lab.demo.operator_tools import apply_inventory, build_release, provision, write_host_keys
from lab.demo.options import Options
from lab.demo.phases import Phases
from lab.demo.report import Report, make_report
from lab.demo.submit import submit
from lab.demo.watch import finished, watch
from lab.lab import Lab
from lab.settings import LabSettings

_SHARDS_TIMEOUT_S = 180.0
_PAUSE_S = 0.5


def boot(options: Options, phases: Phases, var_mib: int = 0) -> Lab:
    """Bare nodes, proxies, DNS and receivers; `var_mib` as in LabSettings."""
    exits = sum(each.egresses for each in plan(options.mailboxes))
    settings = LabSettings(
        name=options.name,
        nodes=options.nodes,
        proxies=exits,
        dns=True,
        receivers=True,
        var_mib=var_mib,
    )
    booted: set[str] = set()
    with phases.phase(f"Boot {options.nodes} bare nodes, {exits} proxies, DNS, receivers") as phase:

        def image(release: str, done: int, steps: int) -> None:
            phase.show(f"base image {release}", done, steps)

        def node(node_id: str) -> None:
            booted.add(node_id)
            phase.show("nodes booted", len(booted), options.nodes)

        lab = Lab.up(settings, images=image, booted=node)
        lab.receivers.set_rules(rules())
    return lab


def build_fleet(
    lab: Lab, options: Options, phases: Phases, settings: Mapping[str, str] | None = None
) -> tuple[Fleet, Path]:
    """Controller, inventory, DNS, nodes; returns when every shard is applied.

    `settings` of the fleet as `inventory.reference.render` takes them.
    """
    inventory = lab.directory / "inventory.yaml"
    index = lab.network.plan.index
    inventory.write_text(render(options.nodes, options.mailboxes, index, settings))
    write_host_keys(lab)
    with phases.phase("Start the controller on its own PostgreSQL"):
        fleet = Fleet.start(lab)
    with phases.phase("Apply the inventory (postfleet fleet apply)") as phase:
        phase.note = f"{apply_inventory(lab, fleet, inventory):,} changes"
    with phases.phase("Publish the fleet's DNS records") as phase:
        records = fleet.dns_records()
        messages = lab.dns.publisher.publish(records)
        phase.note = f"{len(records):,} records in {messages} updates"
    with phases.phase("Build what nodes install"):
        release = build_release(lab)
    with phases.phase(f"Provision {options.nodes} nodes over ssh (fab provision)") as phase:
        steps = Counter[str]()

        def step(line: str) -> None:
            node, _, doing = line.partition(" ")
            if node in lab.nodes:
                steps[node] += 1
                phase.show(node, steps[node], None, " ".join(doing.split())[:60])

        provision(lab, fleet, inventory, step, release)
    with phases.phase("Assign shards") as phase:
        wait_for_shards(fleet, options, phase.show)
    return fleet, inventory


def wait_for_shards(fleet: Fleet, options: Options, show: object) -> None:
    """Returns when every mailbox is on a node that runs the spec it should run."""
    deadline = time.monotonic() + _SHARDS_TIMEOUT_S
    while True:
        nodes = fleet.nodes()
        ready = [n for n in nodes if n.lease_valid and n.running_generation == n.wanted_generation]
        mailboxes = sum(node.mailboxes for node in ready)
        if callable(show):
            show("mailboxes on nodes that run their spec", mailboxes, options.mailboxes)
        if mailboxes == options.mailboxes:
            return
        if time.monotonic() > deadline:
            told = "; ".join(
                f"{n.id} {n.state} generation {n.running_generation}/{n.wanted_generation}, "
                f"{n.mailboxes} mailboxes {n.spec_error}"
                for n in nodes
            )
            raise DemoError(f"shards are not all applied after {_SHARDS_TIMEOUT_S:.0f} s: {told}")
        time.sleep(_PAUSE_S)


def read_samples(path: Path) -> list[tuple[str, bytes]]:
    """(name, content) of every message of the input. Raises DemoError."""
    try:
        return [(message.source, message.content) for message in read_path(path)]
    except InputError as error:
        raise DemoError(f"--input {path}: {error}") from error


def plan_letters(options: Options, inventory: Path) -> list[Letter]:
    """What is sent: the input's messages in turn, from every mailbox, to four providers.

    At least one from each mailbox and each message of the input once, unless --messages says how
    many.
    """
    senders = [
        Sender(f"{mailbox.local_part}@{domain.name}", domain.client)
        for domain in load(inventory).inventory.domains
        for mailbox in domain.mailboxes
    ]
    samples = read_samples(options.input)
    count = options.messages or max(len(senders), len(samples))
    return letters(samples, senders, recipients(count))


def send(fleet: Fleet, planned: Sequence[Letter], phases: Phases) -> dict[str, Submitted]:
    """Submits everything and watches until each message has its end."""
    before = finished(fleet.summary())
    with phases.phase(f"Submit {len(planned):,} messages") as phase:
        run = secrets.token_hex(4)
        submitted = submit(
            fleet.channel, planned, run, lambda n: phase.show("accepted", n, len(planned))
        )
    with phases.phase("Send") as phase:
        phase.progress.stop()
        watch(fleet, before + len(submitted), phases.console)
    return submitted


def judge(
    lab: Lab, fleet: Fleet, inventory: Path, submitted: dict[str, Submitted], phases: Phases
) -> Report:
    """Compares the account with the records."""
    with phases.phase("Verify what the receivers recorded") as phase:
        evidence = gather(
            lab,
            inventory,
            submitted,
            fleet.accounts(),
            lambda done, total: phase.show("judged", done, total),
        )
        differences = compare(evidence)
        phase.note = f"{len(evidence.sightings):,} messages"
    return make_report(evidence, differences, phases.elapsed_s, phases.total_s)
