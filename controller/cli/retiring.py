"""postfleet node decommission: shows what is at stake, asks, and takes the node out of service."""

from __future__ import annotations

from postfleet.v1 import fleet_pb2

from controller.cli import fencing
from controller.cli.asking import confirm
from controller.cli.command import Session
from controller.cli.connection import Connection, connected
from controller.cli.output import as_data, print_json
from controller.cli.shard_plans import print_plan


def decommission(
    session: Session, request: fleet_pb2.DecommissionNodeRequest, before: fleet_pb2.Node, yes: bool
) -> None:
    """Orders it, after the question. What is refused is refused before it. Raises Failure."""
    dry_run, request.dry_run = request.dry_run, True
    with connected(session) as connection:
        after = connection.ask("DecommissionNode", request)
        if request.fenced:
            _attest(session, connection, before.id, dry_run, yes)
        elif before.state != "decommissioned":
            _hand_over(session, connection, before, dry_run, yes)
        if not dry_run:
            request.dry_run = False
            after = connection.ask("DecommissionNode", request)
    _report(session, before, after, dry_run)


def _question(node: fleet_pb2.Node) -> str:
    return (
        f"{node.id} goes out of service for good: its certificate is not renewed and it gets no "
        f"egress any more. Decommission {node.id}?"
    )


def _hand_over(
    session: Session, connection: Connection, node: fleet_pb2.Node, dry_run: bool, yes: bool
) -> None:
    if node.egresses and not session.json:
        drain = fleet_pb2.DrainNodeRequest(node_id=node.id, force=True, dry_run=True)
        print_plan(connection.ask("DrainNode", drain))
    if not dry_run:
        confirm(session, _question(node), yes=yes)


def _attest(session: Session, connection: Connection, node: str, dry_run: bool, yes: bool) -> None:
    stake = connection.ask("FenceNode", fleet_pb2.FenceNodeRequest(node_id=node, dry_run=True))
    if stake.changed and not session.json:
        fencing.show_stake(node, stake.at_stake)
    if stake.changed and not dry_run:
        fencing.ask(session, node, stake.at_stake, yes)


def _report(session: Session, before: fleet_pb2.Node, after: fleet_pb2.Node, dry_run: bool) -> None:
    changed = before.state != after.state or before.egresses != after.egresses
    words = f"{after.id} is out of service"
    if after.egresses:
        words += f"; it gives {after.egresses} egresses back, "
        words += f"`postfleet node show {after.id}` tells"
    if session.json:
        print_json({"changed": changed, "dry_run": dry_run, "node": as_data(after)})
    elif not changed:
        print(f"{words} already; nothing changed")
    else:
        print(f"would change: {words}" if dry_run else words)
