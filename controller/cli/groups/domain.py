"""postfleet domain: sending domains."""

from __future__ import annotations

import typer

from controller.cli.command import Session, add
from controller.cli.groups.resuming import add_resume
from controller.cli.groups.suspending import add_suspension
from controller.cli.options import DomainName, Filter, Limit, OfClient, OnNode

group = typer.Typer(help="Sending domains.", no_args_is_help=True)


@add(group, "list", examples=("postfleet domain list", "postfleet domain list --client harbor"))
def list_(
    session: Session,
    filter: Filter = "",
    client: OfClient = "",
    node: OnNode = "",
    limit: Limit = 0,
) -> None:
    """List domains with their mailboxes and DKIM selectors."""
    from postfleet.v1 import fleet_pb2

    from controller.cli.connection import connected
    from controller.cli.output import as_data, number, print_json, print_table, state

    request = fleet_pb2.ListRequest(filter=filter, client_id=client, node_id=node)
    with connected(session) as connection:
        domains = list(connection.pages("ListDomains", request, "domains", limit))
    if session.json:
        print_json([as_data(each) for each in domains])
        return
    print_table(
        ("domain", "state", "client", "#mailboxes", "dkim selector", "dmarc"),
        [
            (each.name, state(each.state), each.client_id, number(each.mailboxes),
             each.dkim_selector, each.dmarc_policy)
            for each in domains
        ],
        "no domains",
    )  # fmt: skip


@add(group, "dns", examples=("postfleet domain dns harbor-mail.test",))
def dns(
    session: Session,
    domain: DomainName,
) -> None:
    """Print the DNS records of one domain (DKIM, SPF, DMARC, MX) as lines of a zone file."""
    from postfleet.v1 import fleet_pb2

    from controller.cli.connection import connected
    from controller.cli.exits import Exit
    from controller.cli.failure import Failure
    from controller.cli.zone import print_records

    with connected(session) as connection:
        rows = connection.pages("ListDnsRecords", fleet_pb2.ListRequest(filter=domain), "records")
        records = [each for each in rows if f".{each.name}".endswith(f".{domain}")]
    if not records:
        words = f"there is no domain {domain!r} in the fleet; `postfleet domain list` shows them"
        raise Failure(Exit.NOT_FOUND, words)
    print_records(session, records)


add_suspension(group, "domain", DomainName, "harbor-mail.test")
add_resume(group, "domain", DomainName, "harbor-mail.test")
