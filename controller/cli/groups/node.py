"""postfleet node: the machines."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from controller.cli.command import Session, add
from controller.cli.options import (
    DryRun,
    Filter,
    Limit,
    NodeId,
    OfClient,
    Reason,
    Timeout,
    Wait,
    Yes,
)

group = typer.Typer(help="The machines that send.", no_args_is_help=True)


@add(group, "list", examples=("postfleet node list", "postfleet node list --json | jq '.[].id'"))
def list_(session: Session, filter: Filter = "", client: OfClient = "", limit: Limit = 0) -> None:
    """List nodes with their state, load and generation."""
    from postfleet.v1 import fleet_pb2

    from controller.cli.connection import connected
    from controller.cli.output import as_data, print_json, print_table

    request = fleet_pb2.ListRequest(filter=filter, client_id=client)
    with connected(session) as connection:
        nodes = list(connection.pages("ListNodes", request, "nodes", limit))
    if session.json:
        print_json([as_data(node) for node in nodes])
        return
    print_table(
        ("node", "state", "failure domain", "#egresses", "#mailboxes", "generation", "lease",
         "#spooled", "#queued", "#deferred", "seen", "agent"),
        [_row(node) for node in nodes],
        "no nodes; `postfleet fleet apply` brings them in",
    )  # fmt: skip


def _row(node: Any) -> tuple[Any, ...]:
    from controller.cli.output import ago, number, state

    return (
        node.id, state(node.state), node.failure_domain, number(node.egresses),
        f"{node.mailboxes:,}/{node.capacity:,}", _generation(node),
        f"term {node.epoch}" if node.lease_valid else "none", number(node.spooled),
        number(node.queued), number(node.deferred), ago(node, "last_seen"), node.agent_version,
    )  # fmt: skip


def _generation(node: Any) -> Any:
    from rich.text import Text

    if node.spec_error:
        return Text(f"{node.running_generation}, {node.wanted_generation} failed", style="red")
    if node.running_generation == node.wanted_generation:
        return str(node.running_generation)
    return Text(f"{node.running_generation} of {node.wanted_generation}", style="yellow")


@add(group, "show", examples=("postfleet node show n1",))
def show(session: Session, node: NodeId) -> None:
    """Show one node and the egresses it has."""
    from postfleet.v1 import fleet_pb2

    from controller.cli.connection import connected
    from controller.cli.output import as_data, console, print_json

    with connected(session) as connection:
        found = _find(connection, node)
        egresses = list(
            connection.pages("ListEgresses", fleet_pb2.ListRequest(node_id=node), "egresses")
        )
    if session.json:
        print_json(as_data(found) | {"egress_list": [as_data(each) for each in egresses]})
        return
    _print_node(found)
    if egresses:
        from controller.cli.groups.egress import print_egresses

        console().print()
        print_egresses(egresses)


def _print_node(node: Any) -> None:
    from controller.cli.output import ago, print_details, state

    print_details(
        [
            ("node", node.id),
            ("state", state(node.state)),
            ("address", node.address),
            ("failure domain", node.failure_domain),
            ("load", f"{node.egresses} egresses, {node.mailboxes} of {node.capacity} mailboxes"),
            ("generation", _generation(node)),
            ("spec error", node.spec_error),
            ("lease", f"term {node.epoch}" if node.lease_valid else "none"),
            ("cordoned", "yes" if node.cordoned else ""),
            ("draining", "yes, until it is uncordoned" if node.draining else ""),
            ("fenced", "yes, until it boots, is enrolled or uncordoned" if node.fenced else ""),
            ("mail", f"{node.spooled} spooled, {node.queued} queued, {node.deferred} deferred"),
            ("seen", ago(node, "last_seen")),
            ("agent", node.agent_version),
        ]
    )


def _find(connection: Any, node_id: str) -> Any:
    from postfleet.v1 import fleet_pb2

    from controller.cli.exits import Exit
    from controller.cli.failure import Failure

    found = connection.ask("ListNodes", fleet_pb2.ListRequest(id=node_id)).nodes
    if not found:
        raise Failure(
            Exit.NOT_FOUND,
            f"there is no node {node_id!r} in the fleet; `postfleet node list` shows them",
        )
    return found[0]


@add(group, "cordon", examples=("postfleet node cordon n3", "postfleet node cordon n3 --dry-run"))
def cordon(session: Session, node: NodeId, dry_run: DryRun = False) -> None:
    """Assign no further egress to a node. What it has stays and goes on sending."""
    _set_cordon(session, node, True, dry_run)


@add(group, "uncordon", examples=("postfleet node uncordon n3",))
def uncordon(session: Session, node: NodeId, dry_run: DryRun = False) -> None:
    """Open a cordoned, draining or fenced node for egresses again."""
    _set_cordon(session, node, False, dry_run)


def _set_cordon(session: Session, node: str, cordoned: bool, dry_run: bool) -> None:
    from postfleet.v1 import fleet_pb2

    from controller.cli.connection import connected

    with connected(session) as connection:
        before = _find(connection, node)
        request = fleet_pb2.SetNodeCordonRequest(node_id=node, cordoned=cordoned, dry_run=dry_run)
        after = connection.ask("SetNodeCordon", request)
    word = "cordoned" if cordoned else "open for egresses"
    changed = any(
        getattr(before, name) != getattr(after, name) for name in ("cordoned", "draining", "fenced")
    )
    _report(session, after, changed, dry_run, f"{node} is {word}")


@add(
    group,
    "drain",
    examples=(
        "postfleet node drain n3 --dry-run",
        "postfleet node drain n3 --reason 'kernel update'",
        "postfleet node drain n3 --no-wait",
    ),
)
def drain(
    session: Session,
    node: NodeId,
    reason: Reason = "",
    force: Annotated[
        bool,
        typer.Option("--force", help="Also what fits on no other node is given back, and waits"),
    ] = False,
    wait: Wait = True,
    timeout: Timeout = 0,
    dry_run: DryRun = False,
) -> None:
    """Cordon a node and move its egresses to others, a few at a time; it sends with the rest.

    Refused for the last node, and where the others have no room for all. `uncordon` calls it off.
    """
    from postfleet.v1 import fleet_pb2

    from controller.cli import draining

    request = fleet_pb2.DrainNodeRequest(node_id=node, reason=reason, force=force, dry_run=dry_run)
    draining.drain(session, request, wait, timeout)


@add(
    group,
    "fence",
    examples=(
        "postfleet node fence n3 --dry-run",
        "postfleet node fence n3 --reason 'power is off, says the provider'",
    ),
)
def fence(
    session: Session, node: NodeId, reason: Reason = "", yes: Yes = False, dry_run: DryRun = False
) -> None:
    """End a node's term at once: you attest that it is off, or cut from its proxies.

    Shows what is at stake and asks. Its egresses go to other nodes within seconds. It gets none
    until it has booted again, is enrolled again, or is uncordoned. Its mail waits for it.
    """
    from controller.cli import fencing

    fencing.fence(session, node, reason, yes, dry_run)


@add(
    group,
    "decommission",
    examples=(
        "postfleet node decommission n3 --dry-run",
        "postfleet node decommission n3 --reason 'contract ends'",
        "postfleet node decommission n3 --fenced --reason 'disk died, machine is off'",
    ),
)
def decommission(
    session: Session,
    node: NodeId,
    fenced: Annotated[
        bool,
        typer.Option(
            "--fenced", help="You attest that the machine is off for good: nothing is awaited of it"
        ),
    ] = False,
    reason: Reason = "",
    force: Annotated[
        bool,
        typer.Option("--force", help="Also what fits on no other node is given back, and waits"),
    ] = False,
    yes: Yes = False,
    dry_run: DryRun = False,
) -> None:
    """Take a node out of service: it gives every egress back, and gets none any more.

    Shows what moves and asks. Refused for the last node, and where the others have no room for all.
    With --fenced its egresses go to other nodes at once. That is only safe when the machine cannot
    send any more: two nodes would send for the same egress otherwise.
    """
    from postfleet.v1 import fleet_pb2

    from controller.cli import retiring
    from controller.cli.connection import connected

    with connected(session) as connection:
        before = _find(connection, node)
    request = fleet_pb2.DecommissionNodeRequest(
        node_id=node, fenced=fenced, dry_run=dry_run, reason=reason, force=force
    )
    retiring.decommission(session, request, before, yes)


def _report(session: Session, node: Any, changed: bool, dry_run: bool, words: str) -> None:
    from controller.cli.output import as_data, print_json

    if session.json:
        print_json({"changed": changed, "dry_run": dry_run, "node": as_data(node)})
    elif not changed:
        print(f"{words} already; nothing changed")
    else:
        print(f"would change: {words}" if dry_run else words)
