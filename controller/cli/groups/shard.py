"""postfleet shard: what each node holds."""

from __future__ import annotations

from collections import defaultdict
from typing import Annotated, Any

import typer

from controller.cli.command import Session, add
from controller.cli.completion import complete_node
from controller.cli.options import (
    DryRun,
    EgressId,
    OfClient,
    OnNode,
    Reason,
    Timeout,
    Wait,
    Yes,
)

group = typer.Typer(help="Which node sends for which mailboxes.", no_args_is_help=True)


@add(group, "list", examples=("postfleet shard list", "postfleet shard list --node n1 --json"))
def list_(session: Session, client: OfClient = "", node: OnNode = "") -> None:
    """List shards: for each node its egresses and mailboxes, and what no node has."""
    from postfleet.v1 import fleet_pb2

    from controller.cli.connection import connected
    from controller.cli.output import print_json

    with connected(session) as connection:
        nodes = list(connection.pages("ListNodes", fleet_pb2.ListRequest(node_id=node), "nodes"))
        request = fleet_pb2.ListRequest(client_id=client, node_id=node)
        egresses = list(connection.pages("ListEgresses", request, "egresses"))
    shards = _shards(nodes, egresses)
    if session.json:
        print_json(shards)
    else:
        _print(shards)


def _shards(nodes: list[Any], egresses: list[Any]) -> list[dict[str, Any]]:
    """One entry for each node, and one with node `` for what is free."""
    held: dict[str, list[Any]] = defaultdict(list)
    for egress in egresses:
        held[egress.node_id].append(egress)
    known = {each.id: each for each in nodes}
    names = [*known, *([""] if held.get("") else [])]
    return [
        {
            "node_id": name,
            "lease_valid": known[name].lease_valid if name else False,
            "epoch": known[name].epoch if name else 0,
            "capacity": known[name].capacity if name else 0,
            "mailboxes": sum(each.mailboxes for each in held[name]),
            "clients": sorted({each.client_id for each in held[name]}),
            "egress_ids": [each.id for each in held[name]],
        }
        for name in names
    ]


def _print(shards: list[dict[str, Any]]) -> None:
    from rich.text import Text

    from controller.cli.output import number, print_table

    print_table(
        ("node", "lease", "#egresses", "#mailboxes", "#capacity", "clients", "egresses"),
        [
            (
                shard["node_id"] or Text("none", style="red"),
                f"term {shard['epoch']}" if shard["lease_valid"] else "none",
                number(len(shard["egress_ids"])),
                number(shard["mailboxes"]),
                number(shard["capacity"]) if shard["node_id"] else "",
                ", ".join(shard["clients"]),
                _ranges(shard["egress_ids"]),
            )
            for shard in shards
        ],
        "no nodes",
    )


def _ranges(ids: list[str]) -> str:
    """`px001…px004, px009`: ids that follow each other in the alphabet of the list are joined."""
    runs: list[list[str]] = []
    for id_ in ids:
        if runs and _follows(runs[-1][-1], id_):
            runs[-1].append(id_)
        else:
            runs.append([id_])
    return ", ".join(run[0] if len(run) == 1 else f"{run[0]}…{run[-1]}" for run in runs)


def _follows(one: str, other: str) -> bool:
    stem, other_stem = one.rstrip("0123456789"), other.rstrip("0123456789")
    digits, other_digits = one[len(stem) :], other[len(other_stem) :]
    return bool(
        stem == other_stem and digits and other_digits and int(other_digits) == int(digits) + 1
    )


@add(group, "plan", examples=("postfleet shard plan", "postfleet shard plan --json"))
def plan(session: Session) -> None:
    """Show what placement would move now and why, load before and after. Changes nothing.

    What must move does so by itself; what only evens the load out, by `postfleet shard rebalance`.
    """
    from postfleet.v1 import fleet_pb2

    from controller.cli.connection import asking
    from controller.cli.output import as_data, print_json
    from controller.cli.shard_plans import print_plan

    planned = asking(session, "PlanShards", fleet_pb2.PlanShardsRequest())
    if session.json:
        print_json(as_data(planned))
    else:
        print_plan(planned)


@add(
    group,
    "rebalance",
    examples=(
        "postfleet shard rebalance --dry-run",
        "postfleet shard rebalance --max-in-flight 5 --yes",
        "postfleet shard rebalance --stop",
    ),
)
def rebalance(
    session: Session,
    max_in_flight: Annotated[
        int,
        typer.Option(
            "--max-in-flight",
            metavar="N",
            min=0,
            max=1000,
            help="Egresses on their way at a time; 0: as the inventory says",
        ),
    ] = 0,
    stop: Annotated[
        bool, typer.Option("--stop", help="Call off the one that runs; what is on its way arrives")
    ] = False,
    reason: Reason = "",
    yes: Yes = False,
    wait: Wait = True,
    timeout: Timeout = 0,
    dry_run: DryRun = False,
) -> None:
    """Even the load of the nodes out by as few moves as that takes, a few at a time."""
    from postfleet.v1 import fleet_pb2

    from controller.cli import rebalancing

    if stop:
        rebalancing.stop(session, reason, dry_run)
        return
    request = fleet_pb2.RebalanceShardsRequest(
        max_in_flight=max_in_flight, reason=reason, dry_run=dry_run
    )
    rebalancing.rebalance(session, request, yes, wait, timeout)


@add(group, "move", examples=("postfleet shard move px001 --to n2 --reason 'nearer to its proxy'",))
def move(
    session: Session,
    egress: EgressId,
    to: Annotated[
        str,
        typer.Option("--to", metavar="NODE", help="Where to", autocompletion=complete_node),
    ],
    reason: Reason = "",
    wait: Wait = True,
    timeout: Timeout = 0,
    dry_run: DryRun = False,
) -> None:
    """Move one egress with its mailboxes to a node that has room for it."""
    from postfleet.v1 import fleet_pb2

    from controller.cli.connection import connected
    from controller.cli.moving import Look, look_on, moves_of
    from controller.cli.output import as_data, print_json

    request = fleet_pb2.MoveEgressRequest(
        egress_id=egress, to_node=to, reason=reason, dry_run=dry_run
    )
    with connected(session) as connection:
        reply = connection.ask("MoveEgress", request)
        if reply.changed and wait and not dry_run:
            look_on(
                session,
                lambda: Look(0, moves_of(connection, egress_id=egress)),
                timeout,
                "`postfleet shard moves` shows it",
            )
    if session.json:
        print_json({"dry_run": dry_run} | as_data(reply))
    elif not reply.changed:
        print(f"{egress} is on {to} already; nothing changed")
    else:
        way = f"from {reply.from_node or 'no node'} to {to}: {reply.mailboxes:,} mailboxes"
        word = "would move" if dry_run else "moved" if wait else "moves"
        print(f"{egress} {word} {way}")


@add(group, "moves", examples=("postfleet shard moves",))
def moves(session: Session) -> None:
    """List the planned moves that are under way, and how far each is."""
    from postfleet.v1 import fleet_pb2

    from controller.cli.connection import asking
    from controller.cli.output import ago, as_data, number, print_json, print_table
    from controller.cli.shard_plans import why

    found = asking(session, "ListShardMoves", fleet_pb2.ListShardMovesRequest())
    if session.json:
        print_json(as_data(found))
        return
    print_table(
        ("egress", "client", "from", "to", "#mailboxes", "began", "stage", "why"),
        [
            (each.egress_id, each.client_id, each.from_node, each.to_node or "none",
             number(each.mailboxes), ago(each, "began_at"), each.stage, why(each.reason))
            for each in found.moves
        ],
        "nothing is under way",
    )  # fmt: skip
    if found.rebalancing:
        print(f"a rebalance ordered by {found.ordered_by} is running")
