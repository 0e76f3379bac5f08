"""postfleet mailbox: sending addresses."""

from __future__ import annotations

from typing import Annotated

import typer

from controller.cli.command import Session, add
from controller.cli.groups.resuming import add_resume
from controller.cli.groups.suspending import add_suspension
from controller.cli.options import Filter, Limit, MailboxAddress, OfClient, OnNode

group = typer.Typer(help="Sending addresses.", no_args_is_help=True)


@add(group, "list", examples=("postfleet mailbox list --node n1",
                              "postfleet mailbox list --filter @harbor-mail.test"))  # fmt: skip
def list_(
    session: Session,
    filter: Filter = "",
    client: OfClient = "",
    node: OnNode = "",
    limit: Limit = 0,
) -> None:
    """List mailboxes with where they are and what they sent today."""
    from postfleet.v1 import fleet_pb2

    from controller.cli.connection import connected
    from controller.cli.output import as_data, print_json, print_table, state

    request = fleet_pb2.ListRequest(filter=filter, client_id=client, node_id=node)
    with connected(session) as connection:
        boxes = list(connection.pages("ListMailboxes", request, "mailboxes", limit))
    if session.json:
        print_json([as_data(each) for each in boxes])
        return
    print_table(
        ("mailbox", "state", "client", "egress", "node", "#today", "reason"),
        [
            (each.address, state(each.state), each.client_id, each.egress_id, each.node_id,
             f"{each.sent_today:,}/{each.daily_cap:,}", each.reason)
            for each in boxes
        ],
        "no mailboxes",
    )  # fmt: skip


@add(group, "show", examples=("postfleet mailbox show ada.arendt@harbor-mail.test",))
def show(
    session: Session,
    mailbox: MailboxAddress,
    messages: Annotated[
        int,
        typer.Option(
            "--messages", metavar="N", min=0, max=1000, help="How many of its last messages"
        ),
    ] = 10,
) -> None:
    """Show one mailbox and its last messages."""
    from postfleet.v1 import fleet_pb2

    from controller.cli.connection import connected
    from controller.cli.exits import Exit
    from controller.cli.failure import Failure
    from controller.cli.message_views import print_messages
    from controller.cli.output import as_data, console, print_details, print_json, state

    ask = fleet_pb2.ListMessagesRequest(mailbox=mailbox, newest_first=True, page_size=messages)
    with connected(session) as connection:
        found = connection.ask("ListMailboxes", fleet_pb2.ListRequest(id=mailbox)).mailboxes
        if not found:
            words = f"there is no mailbox {mailbox!r} in the fleet; `postfleet mailbox list` shows "
            raise Failure(Exit.NOT_FOUND, words + "them")
        last = list(connection.ask("ListMessages", ask).messages) if messages else []
    box = found[0]
    if session.json:
        print_json(as_data(box) | {"messages": [as_data(each) for each in last]})
        return
    print_details(
        [
            ("mailbox", box.address),
            ("state", state(box.state)),
            ("reason", box.reason),
            ("client", box.client_id),
            ("egress", box.egress_id),
            ("node", box.node_id or "none"),
            ("today", f"{box.sent_today} of {box.daily_cap}"),
        ]
    )
    if last:
        console().print()
        print_messages(last)


add_suspension(group, "mailbox", MailboxAddress, "ada.arendt@harbor-mail.test")
add_resume(group, "mailbox", MailboxAddress, "ada.arendt@harbor-mail.test")
