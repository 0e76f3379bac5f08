"""Reads what a node should run, with its secrets opened, in one transaction of one snapshot."""

from __future__ import annotations

from postfleet.v1 import spec_pb2

from controller.desired.build import build_spec
from controller.desired.parts import DkimPart, EgressPart, NodeParts
from controller.keys.sealing import Sealer, dkim_key_row, proxy_password_row
from controller.store import Row, Transaction, queries
from inventory.schema import Fleet

_SQL = queries.load("desired")


async def read_fleet(tx: Transaction) -> Fleet | None:
    """The fleet-wide settings; None before the first inventory was applied."""
    row = await tx.fetch_optional(_SQL["settings"], name="fleet")
    return None if row is None else Fleet.model_validate(row["value"])


async def read_spec(tx: Transaction, sealer: Sealer, node_id: str) -> spec_pb2.NodeSpec | None:
    """The spec of the node's wanted generation; None for an unknown node or an empty fleet.

    The node's row is locked against a change of `wanted_generation` until `tx` ends, so what is
    read is what that generation means. Raises UnsealError.
    """
    fleet = await read_fleet(tx)
    node = await tx.fetch_optional(_SQL["node"], node_id=node_id)
    if fleet is None or node is None:
        return None
    egresses = await tx.fetch_all(_SQL["egresses"], node_id=node_id)
    keys = await tx.fetch_all(_SQL["dkim_keys"], node_id=node_id)
    parts = NodeParts(
        node_id=node_id,
        hostname=node["hostname"],
        generation=node["wanted_generation"],
        egresses=tuple(_egress(row, sealer) for row in egresses),
        dkim_keys=tuple(_key(row, sealer) for row in keys),
    )
    return build_spec(parts, fleet)


def _egress(row: Row, sealer: Sealer) -> EgressPart:
    sealed = row["sealed_password"]
    password = sealer.open(sealed, proxy_password_row(row["id"])).decode() if sealed else ""
    return EgressPart(
        id=row["id"],
        client_id=row["client_id"],
        public_ip=row["public_ip"],
        helo_name=row["helo_name"],
        kind=row["kind"],
        host=row["host"] or "",
        port=row["port"] or 0,
        username=row["username"] or "",
        password=password,
        surrogate_index=row["surrogate_index"],
        mailboxes=tuple(row["mailboxes"]),
    )


def _key(row: Row, sealer: Sealer) -> DkimPart:
    pem = sealer.open(row["sealed_key"], dkim_key_row(row["domain"], row["selector"])).decode()
    return DkimPart(row["domain"], row["selector"], pem)
