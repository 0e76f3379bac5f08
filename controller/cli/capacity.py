"""postfleet capacity: what the loss of a node or of a failure domain would stop."""

from __future__ import annotations

import math
from collections.abc import Sequence

import typer
from postfleet.v1 import fleet_pb2

from controller.cli.command import Session
from controller.cli.connection import connected
from controller.cli.exits import Exit
from controller.cli.output import as_data, console, number, print_json, print_table

# A fleet of hundreds of nodes that is nearly full takes a minute.
_TIMEOUT_S = 600.0
_MOST_ROWS = 12


def show(session: Session) -> None:
    """Prints the report; ends with 1 where a loss would not be survived."""
    with connected(session) as connection:
        report = connection.ask("GetCapacity", fleet_pb2.GetCapacityRequest(), _TIMEOUT_S)
    if session.json:
        print_json(as_data(report))
    else:
        _print(report)
    if not report.survives:
        raise typer.Exit(Exit.REFUSED)


def _print(report: fleet_pb2.CapacityReport) -> None:
    print(f"{report.mailboxes:,} mailboxes; active nodes have room for {report.capacity:,}")
    for kind, name in (("failure-domain", "failure domain"), ("node", "node")):
        _print_kind([each for each in report.losses if each.kind == kind], name)
    now = [each for each in report.losses if each.kind == "now" and not each.survived]
    for each in now:
        print(f"\nnow, before any loss, {_clients(each)} have no place")
    print()
    if report.survives:
        print("survives the loss of any one node, and of any failure domain")
        return
    if report.add_nodes:
        nodes = "1 node" if report.add_nodes == 1 else f"{report.add_nodes:,} nodes"
        print(
            f"add {nodes} of capacity {report.add_capacity:,}, in a failure domain of their own, "
            "and every loss finds room"
        )
        _print_shares(report)
    if any(each.bound for each in report.losses):
        print("what is bound to a node (an address of it) stops with it, whatever is added")


def _print_kind(losses: Sequence[fleet_pb2.CapacityLoss], name: str) -> None:
    shown = [each for each in losses if not each.survived][:_MOST_ROWS] or list(losses[:1])
    console().print()
    print_table(
        (f"loss of {name}", "#mailboxes", "survived", "#missing", "#bound", "would not send"),
        [
            (
                each.id,
                number(each.mailboxes),
                "yes" if each.survived else "no",
                number(each.missing_capacity),
                number(each.bound),
                _clients(each),
            )
            for each in shown
        ],
        f"no {name} holds anything",
    )
    hidden = sum(not each.survived for each in losses) - len(shown)
    if hidden > 0:
        print(f"… and {hidden:,} more that are not survived; --json has all")


def _clients(loss: fleet_pb2.CapacityLoss) -> str:
    return ", ".join(f"{id} {count:,}" for id, count in _by_size(loss))


def _by_size(loss: fleet_pb2.CapacityLoss) -> list[tuple[str, int]]:
    return sorted(loss.by_client.items(), key=lambda pair: (-pair[1], pair[0]))


def _print_shares(report: fleet_pb2.CapacityReport) -> None:
    """What of the addition is for whom, in the loss that misses most."""
    worst = max(report.losses, key=lambda each: each.missing_capacity)
    what = f"the loss of {worst.kind} {worst.id}" if worst.id else "now"
    for client, mailboxes in _by_size(worst):
        nodes = math.ceil(mailboxes / report.add_capacity * 10) / 10
        print(f"  {client}: {mailboxes:,} mailboxes have no place ({what}), {nodes:g} nodes' worth")
