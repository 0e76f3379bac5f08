"""postfleet shard: what each node holds."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import typer

from controller.cli.command import Session, add
from controller.cli.options import OfClient, OnNode

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
