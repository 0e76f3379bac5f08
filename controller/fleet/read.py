"""Read what the fleet is now: the rows an inventory decides, and what holds things in place.

Rows are made in a thread: with 100,000 of them, heartbeats of nodes must not wait for it.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

from controller.fleet.plan import InUse
from controller.fleet.rows import (
    ClientRow,
    DomainRow,
    EgressRow,
    FleetRows,
    MailboxRow,
    NodeRow,
    Secret,
    SettingsRow,
)
from controller.keys.errors import UnsealError
from controller.keys.sealing import Sealer, proxy_password_row
from controller.store import Transaction, queries

_SQL = queries.load("inventory")


async def current_rows(tx: Transaction, sealer: Sealer) -> FleetRows:
    """The fleet as it stands in the database, with its passwords opened."""
    settings = await tx.fetch_optional(_SQL["settings"])
    tables = {
        name: await tx.fetch_all(_SQL[name])
        for name in ("clients", "domains", "egresses", "mailboxes", "nodes")
    }

    def rows() -> FleetRows:
        return FleetRows(
            SettingsRow(settings["value"]) if settings else None,
            {row["id"]: ClientRow(**row) for row in tables["clients"]},
            {row["name"]: DomainRow(**row) for row in tables["domains"]},
            {row["id"]: _egress(row, sealer) for row in tables["egresses"]},
            {row["address"]: MailboxRow(**row) for row in tables["mailboxes"]},
            {row["id"]: NodeRow(**row) for row in tables["nodes"]},
        )

    return await asyncio.to_thread(rows)


def _egress(row: dict[str, Any], sealer: Sealer) -> EgressRow:
    sealed = row.pop("sealed_password")
    return EgressRow(**row, password=_opened(sealed, row["id"], sealer) if sealed else None)


def _opened(sealed: bytes, egress_id: str, sealer: Sealer) -> Secret | None:
    """None where it does not open: then it differs from what is wanted, and is sealed anew."""
    try:
        return Secret(sealer.open(sealed, proxy_password_row(egress_id)).decode())
    except UnsealError:
        return None


async def in_use(tx: Transaction) -> InUse:
    """What holds things where they are."""
    mailbox: Counter[str] = Counter()
    mailbox_on_nodes: Counter[str] = Counter()
    client: Counter[str] = Counter()
    egress: Counter[str] = Counter()
    node: Counter[str] = Counter()
    for row in await tx.fetch_all(_SQL["open_messages"]):
        count = row["messages"]
        if row["mailbox"] is None:
            client[row["client_id"]] += count
        else:
            mailbox[row["mailbox"]] += count
        if row["egress_id"] is not None:
            egress[row["egress_id"]] += count
        if row["on_node"]:
            mailbox_on_nodes[row["mailbox"]] += count
            node[row["node_id"]] += count
    holders = await tx.fetch_all(_SQL["holders"])
    in_service = await tx.fetch_all(_SQL["nodes_in_service"])
    return InUse(
        mailbox,
        mailbox_on_nodes,
        client,
        egress,
        node,
        {row["egress_id"]: row["node_id"] for row in holders},
        frozenset(row["id"] for row in in_service),
    )
