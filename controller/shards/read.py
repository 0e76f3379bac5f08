"""Reads the fleet as it is now: nodes with their leases, egresses with where they are."""

from __future__ import annotations

from controller.desired.read import read_fleet
from controller.shards.fleet_now import EgressNow, FleetNow, MarkNow, MoveNow, NodeNow, Order
from controller.store import Row, Transaction, queries
from inventory.schema import Fleet

_SQL = queries.load("shards")
_UNREACHABLE = queries.load("unreachable")
# Who changes where egresses are, or judges by it what may be changed, holds this lock.
LOCK = "placement"


async def read_fleet_now(tx: Transaction) -> FleetNow:
    """What is true in `tx`. Take `LOCK` first where you mean to change it."""
    settings = await read_fleet(tx)
    order = await tx.fetch_optional(_SQL["order"])
    nodes = tuple(NodeNow(**row) for row in await tx.fetch_all(_SQL["nodes"]))
    held = {node.id for node in nodes if node.held}
    return FleetNow(
        nodes=nodes,
        egresses=tuple(_egress(row, held) for row in await tx.fetch_all(_SQL["egresses"])),
        order=Order(**order) if order else None,
        moves_in_flight=(
            settings.moves_in_flight if settings else Fleet.model_fields["moves_in_flight"].default
        ),
        marks=tuple(_mark(row) for row in await tx.fetch_all(_UNREACHABLE["live"])),
    )


def _mark(row: Row) -> MarkNow:
    return MarkNow(row["egress_id"], row["node_id"], row["detail"], row["since"], row["left_s"])


def _egress(row: Row, held: set[str]) -> EgressNow:
    move = None
    if row["move_from"] is not None:
        move = MoveNow(row["move_from"], row["move_to"], row["move_reason"], row["runs"])
    return EgressNow(
        id=row["id"],
        client_id=row["client_id"],
        mailboxes=row["mailboxes"],
        priority=row["priority"],
        only_node=row["only_node"],
        region=row["region"],
        node_id=row["node_id"],
        in_term=bool(row["epoch"]) and row["node_id"] in held,
        releasing=row["state"] == "releasing",
        move=move,
    )
