"""Renews a node's lease and says what it may use: one transaction for each heartbeat.

The renewal is committed before the caller can send the grant, so whoever watches sees every grant
that a node may trust. What was assigned since comes into the term here.
"""

from __future__ import annotations

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


async def renew(tx: Transaction, holder: Holder, timing: LeaseTiming) -> Grant | None:
    """Raises `renewals` and gives the grant.

    None: nothing was renewed. The certificate is no longer in force, a newer session speaks for the
    node, or the term belongs to another machine and is not over yet.
    """
    row = await tx.fetch_optional(
        _SQL["renew"],
        node_id=holder.node_id,
        session_id=holder.session_id,
        certificate_sha256=holder.certificate_sha256,
        boot_id=holder.boot_id,
        ttl_ms=timing.ttl_ms,
        margin_ms=timing.margin_ms,
    )
    if row is None:
        return None
    return await _granted(tx, holder, row["epoch"], row["at"])


async def widen(tx: Transaction, holder: Holder, at: datetime) -> Grant | None:
    """What the node may use now, for an answer to a heartbeat that was answered before.

    Nothing is renewed, and the node's trust still counts from that heartbeat, whose renewal was at
    `at`: this only spares new egresses the wait for the next one. None: the term is not held, or
    not by this session.
    """
    row = await tx.fetch_optional(
        _SQL["term"], node_id=holder.node_id, session_id=holder.session_id
    )
    return None if row is None else await _granted(tx, holder, row["epoch"], at)


async def _granted(tx: Transaction, holder: Holder, epoch: int, at: datetime) -> Grant:
    rows = await tx.fetch_all(_SQL["grant"], node_id=holder.node_id, epoch=epoch)
    return Grant(epoch, tuple(row["egress_id"] for row in rows), at)
