"""Renews leases and says what each node may use: in one transaction, whoever asks at that moment.

The renewals are committed before a caller can send a grant, so whoever watches sees every grant
that a node may trust. What was assigned since comes into the term here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from controller.leases.timing import LeaseTiming
from controller.store import Transaction, queries

_SQL = queries.load("leases")


@dataclass(frozen=True)
class Holder:
    """Who asks: the session that speaks for the node, its certificate and its boot."""

    node_id: str
    session_id: str
    certificate_sha256: bytes
    boot_id: str


@dataclass(frozen=True)
class Grant:
    """The term and all egresses the node may use in it, ordered."""

    epoch: int
    egress_ids: tuple[str, ...]
    # the database's clock at the renewal
    at: datetime


async def renew(
    tx: Transaction, holders: Sequence[Holder], timing: LeaseTiming
) -> Mapping[str, Grant]:
    """Raises `renewals` and gives the grants, by session.

    A session that is left out had nothing renewed: its certificate is no longer in force, a newer
    session speaks for the node, or the term belongs to another machine and is not over yet.
    """
    may = await tx.fetch_all(
        _SQL["may_renew"],
        node_ids=[holder.node_id for holder in holders],
        session_ids=[holder.session_id for holder in holders],
        certificates=[holder.certificate_sha256 for holder in holders],
        boot_ids=[holder.boot_id for holder in holders],
    )
    if not may:
        return {}
    renewed = await tx.fetch_all(
        _SQL["renew"],
        node_ids=[row["node_id"] for row in may],
        certificates=[row["certificate_sha256"] for row in may],
        boot_ids=[row["boot_id"] for row in may],
        ttl_ms=timing.ttl_ms,
        margin_ms=timing.margin_ms,
    )
    rows = await tx.fetch_all(
        _SQL["grant"],
        node_ids=[row["node_id"] for row in renewed],
        epochs=[row["epoch"] for row in renewed],
    )
    held = {row["node_id"]: tuple(row["egress_ids"]) for row in rows}
    sessions = {row["node_id"]: row["session_id"] for row in may}
    return {
        sessions[row["node_id"]]: Grant(row["epoch"], held.get(row["node_id"], ()), row["at"])
        for row in renewed
    }


async def widen(tx: Transaction, holder: Holder, at: datetime) -> Grant | None:
    """What the node may use now, for an answer to a heartbeat that was answered before.

    Nothing is renewed, and the node's trust still counts from that heartbeat, whose renewal was at
    `at`: this only spares new egresses the wait for the next one. None: the term is not held, or
    not by this session.
    """
    row = await tx.fetch_optional(
        _SQL["term"], node_id=holder.node_id, session_id=holder.session_id
    )
    if row is None:
        return None
    rows = await tx.fetch_all(_SQL["grant"], node_ids=[holder.node_id], epochs=[row["epoch"]])
    return Grant(row["epoch"], tuple(rows[0]["egress_ids"]) if rows else (), at)
