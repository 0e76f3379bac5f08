"""A small fleet for tests, put into the database as an operator's inventory would be."""

from __future__ import annotations

from typing import Any

from controller.fleet.apply import apply_inventory
from controller.fleet.wanted import wanted_rows
from controller.keys.authority import FleetCa, Issued
from controller.keys.identity import Kind
from controller.keys.sealing import Sealer
from controller.store import Store
from controller.store.queries import Query
from inventory.schema import Inventory

FAST_LEASE = {"ttl_s": 2, "margin_s": 0.5, "heartbeat_s": 0.2}


def sql(text: str) -> Query:
    """A query of a test's own."""
    return Query("test", "test", "", text, ())


def small_inventory(
    nodes: int = 2,
    egresses: int = 4,
    mailboxes: int = 2,
    capacity: int = 100,
    lease: dict[str, float] | None = None,
    **fleet: Any,
) -> Inventory:
    """`mailboxes` on each egress; all of one client and one domain."""
    return Inventory.model_validate(
        {
            "version": 1,
            "fleet": {"name": "test", "lease": lease or FAST_LEASE, "dispatch_horizon_s": 60}
            | {"limits": {"mailbox_per_hour": 100_000, "mailbox_per_day": 100_000,
                          "egress_per_hour": 1_000_000, "egress_per_day": 1_000_000,
                          "provider_egress_per_hour": 1_000_000, "domain_per_day": 1_000_000,
                          "domain_provider_per_day": 1_000_000, "mailboxes_per_domain": 1000},
               "pacing": {"spread": False, "min_gap_s": 0}} | fleet,
            "clients": [
                {
                    "id": "acme",
                    "name": "Acme",
                    "unsubscribe_url": "https://u.acme.test/",
                    "unsubscribe_mailto": "u@acme.test",
                }
            ],
            "domains": [
                {
                    "name": "acme.test",
                    "client": "acme",
                    "mailboxes": tuple(
                        {"local_part": f"m{e}-{m}", "name": f"M {e} {m}", "egress": f"px{e}"}
                        for e in range(1, egresses + 1)
                        for m in range(1, mailboxes + 1)
                    ),
                }
            ],
            "egresses": [
                {
                    "id": f"px{e}",
                    "client": "acme",
                    "public_ip": f"198.51.100.{e}",
                    "helo_name": f"h{e}.acme.test",
                    "exit": {
                        "kind": "socks5",
                        "host": f"198.51.100.{e}",
                        "username": f"u{e}",
                        "password": "env:PROXY",
                    },
                }
                for e in range(1, egresses + 1)
            ],
            "nodes": [
                {
                    "id": f"n{n}",
                    "address": f"10.80.0.{10 + n}",
                    "hostname": f"n{n}.fleet.test",
                    "host_key": "ssh-ed25519 AAAA",
                    "capacity": capacity,
                    "failure_domain": f"fd{n}",
                }
                for n in range(1, nodes + 1)
            ],
        }
    )  # fmt: skip


async def apply(store: Store, sealer: Sealer, inventory: Inventory) -> None:
    rows = wanted_rows(inventory, {"env:PROXY": "secret"})
    await apply_inventory(store, sealer, rows, "operator/test")


async def enrol(store: Store, ca: FleetCa, node_id: str) -> Issued:
    """A certificate in force for the node."""
    issued = ca.issue_identity(Kind.NODE, node_id)
    await store.execute(
        sql("UPDATE node SET certificate_sha256 = %(digest)s, enrolled_at = now()"
            " WHERE id = %(id)s"),
        digest=issued.certificate_sha256,
        id=node_id,
    )  # fmt: skip
    return issued
