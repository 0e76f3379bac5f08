"""postfleet egress: exit identities."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

import typer

from controller.cli.command import Session, add
from controller.cli.groups.resuming import add_resume
from controller.cli.groups.suspending import add_suspension
from controller.cli.options import EgressId, Filter, Limit, OfClient, OnNode

group = typer.Typer(help="Exit identities: proxies and addresses.", no_args_is_help=True)


@add(group, "list", examples=("postfleet egress list --client harbor",
                              "postfleet egress list --state suspended"))  # fmt: skip
def list_(
    session: Session,
    filter: Filter = "",
    client: OfClient = "",
    node: OnNode = "",
    state: Annotated[
        str, typer.Option("--state", metavar="STATE", help="Only active, suspended or retired")
    ] = "",
    limit: Limit = 0,
) -> None:
    """List egresses with where they are, what they carried today and how they are."""
    from postfleet.v1 import fleet_pb2

    from controller.cli.connection import connected
    from controller.cli.output import as_data, print_json

    request = fleet_pb2.ListRequest(filter=filter, client_id=client, node_id=node)
    with connected(session) as connection:
        rows = connection.pages("ListEgresses", request, "egresses", 0 if state else limit)
        egresses = [each for each in rows if state in ("", each.state)]
    if state and limit:
        egresses = egresses[:limit]
    if session.json:
        print_json([as_data(each) for each in egresses])
    else:
        print_egresses(egresses)


def print_egresses(egresses: Iterable[Any]) -> None:
    """A table of egresses."""
    from controller.cli.output import number, print_table, state

    print_table(
        ("egress", "state", "client", "node", "#mailboxes", "#today", "public ip", "ehlo name",
         "through", "reason"),
        [
            (each.id, state(each.state), each.client_id, each.node_id, number(each.mailboxes),
             f"{each.used_today:,}/{each.daily_cap:,}", each.public_ip, each.helo_name,
             each.endpoint, each.reason)
            for each in egresses
        ],
        "no egresses",
    )  # fmt: skip


@add(group, "show", examples=("postfleet egress show px001",))
def show(session: Session, egress: EgressId) -> None:
    """Show one egress and its mailboxes."""
    from postfleet.v1 import fleet_pb2

    from controller.cli.connection import connected
    from controller.cli.output import ago, as_data, print_details, print_json, state

    with connected(session) as connection:
        found = _find(connection, egress)
        request = fleet_pb2.ListRequest(client_id=found.client_id)
        boxes = [
            each.address
            for each in connection.pages("ListMailboxes", request, "mailboxes")
            if each.egress_id == egress
        ]
    if session.json:
        print_json(as_data(found) | {"mailbox_addresses": boxes})
        return
    print_details(
        [
            ("egress", found.id),
            ("state", state(found.state)),
            ("reason", found.reason),
            ("client", found.client_id),
            ("node", found.node_id or "none"),
            ("through", f"{found.kind} {found.endpoint}"),
            ("public IP", found.public_ip),
            ("EHLO name", found.helo_name),
            ("today", f"{found.used_today} of {found.daily_cap}"),
            ("probed", ago(found, "probed_at")),
            ("out of reach of", "\n".join(map(_out_of_reach, found.unreachable_from)) or "no node"),
            ("mailboxes", "\n".join(boxes) or "none"),
        ]
    )


def _out_of_reach(each: Any) -> str:
    until = each.until.ToDatetime()
    return f"{each.node_id}, until {until:%Y-%m-%d %H:%M} UTC: {each.detail}"


def _find(connection: Any, egress: str) -> Any:
    from postfleet.v1 import fleet_pb2

    from controller.cli.exits import Exit
    from controller.cli.failure import Failure

    found = connection.ask("ListEgresses", fleet_pb2.ListRequest(id=egress)).egresses
    if not found:
        raise Failure(
            Exit.NOT_FOUND,
            f"there is no egress {egress!r} in the fleet; `postfleet egress list` shows them",
        )
    return found[0]


add_suspension(group, "egress", EgressId, "px001")
add_resume(group, "egress", EgressId, "px001")
