"""A whole fleet for the rows that need one: nodes, proxies, receivers, controller, provisioned as
an operator does it. Caps and lease are out of the way: they are not what is measured."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from postfleet.v1 import fleet_pb2, fleet_pb2_grpc

from inventory.reference import plan, render
from lab.demo.fleet import Fleet
from lab.demo.operator_tools import apply_inventory, provision, write_host_keys
from lab.demo.options import SAMPLES, Options
from lab.demo.run import wait_for_shards
from lab.lab import Lab
from lab.settings import LabSettings

NODES = 4
# About 150 on each node, as in the reference fleet.
MAILBOXES = 600
_NAME = "pfbenchlab"
# A long lease lets the agents be stopped for the reference measurement, and no limit binds.
_SETTINGS = {
    "dispatch_horizon_s": "7200",
    "lease": "{ttl_s: 3600, margin_s: 5, heartbeat_s: 5}",
    "limits": "{mailbox_per_hour: 100000, mailbox_per_day: 100000, egress_per_hour: 1000000, "
    "egress_per_day: 1000000, domain_per_day: 10000000, domain_provider_per_day: 10000000, "
    "provider_egress_per_hour: 1000000}",
}


@dataclass(frozen=True)
class Sender:
    """A mailbox, whose it is and where it sends from."""

    address: str
    client: str
    node: str


@dataclass(frozen=True)
class FleetGround:
    """The fleet, up and assigned."""

    lab: Lab
    fleet: Fleet
    inventory: Path
    senders: tuple[Sender, ...]

    def change(self, edit: Callable[[str], str] = str, **settings: str) -> None:
        """Applies the inventory with other settings of the whole fleet, and its text edited."""
        nodes, mailboxes = len(self.lab.nodes), len(self.senders)
        text = render(nodes, mailboxes, self.lab.network.plan.index, {**_SETTINGS, **settings})
        self.inventory.write_text(edit(text))
        apply_inventory(self.lab, self.fleet, self.inventory)


@contextmanager
def fleet_ground(
    say: Callable[[str], None], nodes: int = NODES, mailboxes: int = MAILBOXES
) -> Iterator[FleetGround]:
    """Bring a fleet up, and take it away at the end."""
    exits = sum(each.egresses for each in plan(mailboxes))
    settings = LabSettings(name=_NAME, nodes=nodes, proxies=exits, dns=True, receivers=True)
    say(f"booting {nodes} nodes")
    with Lab.up(settings) as lab:
        inventory = lab.directory / "inventory.yaml"
        inventory.write_text(render(nodes, mailboxes, lab.network.plan.index, _SETTINGS))
        write_host_keys(lab)
        fleet = Fleet.start(lab)
        try:
            apply_inventory(lab, fleet, inventory)
            lab.dns.publisher.publish(fleet.dns_records())
            say("provisioning them")
            provision(lab, fleet, inventory)
            say("waiting for the shards")
            wait_for_shards(fleet, _options(nodes, mailboxes), None)
            yield FleetGround(lab, fleet, inventory, tuple(_senders(fleet)))
        finally:
            fleet.close()


def _senders(fleet: Fleet) -> Iterator[Sender]:
    stub = fleet_pb2_grpc.FleetServiceStub(fleet.channel)
    token = ""
    while True:
        request = fleet_pb2.ListRequest(page_size=5000, page_token=token)
        page = stub.ListMailboxes(request, timeout=60)
        yield from (Sender(m.address, m.client_id, m.node_id) for m in page.mailboxes)
        token = page.next_page_token
        if not token:
            return


def _options(nodes: int, mailboxes: int) -> Options:
    return Options(
        name=_NAME,
        nodes=nodes,
        mailboxes=mailboxes,
        messages=0,
        input=Path(SAMPLES),
        keep=False,
        json=None,
    )
