"""Marks which node's network does not lead to which egress's proxy, and for how long.

A mark is made by the node that has the egress, when its probe could not connect to the proxy twice
in a row: only the way from node to proxy counts, never what a proxy or a receiver answered, so
nothing can be moved to dodge a refusal. It is over when that node reaches the proxy again while it
still has the egress, else after a while that doubles with each mark of the egress: a link that goes
and comes moves it ever more seldom.
"""

from __future__ import annotations

from datetime import timedelta

from postfleet.v1 import node_pb2

from controller.audit import write_audit
from controller.sessions.session import NodeSession
from controller.store import Transaction, queries

_SQL = queries.load("unreachable")
# The stage of a probe that did not get a connection to the proxy (node.proto, ProbeReport).
STAGE = "tcp"
# So many failures in a row, seconds apart: one lost packet moves nothing.
IN_A_ROW = 2
FIRST = timedelta(minutes=10)
LONGEST = timedelta(hours=6)
# An egress that was out of nobody's reach for so long begins at `FIRST` again.
REMEMBERED = timedelta(days=1)


def lasts(strikes: int) -> timedelta:
    """How long the n-th mark of an egress (1 is the first) holds."""
    doubled = FIRST * (1 << min(strikes - 1, 16))
    return min(LONGEST, doubled)


async def mark(tx: Transaction, session: NodeSession, probe: node_pb2.ProbeReport) -> None:
    """Takes a bad probe of an egress that this node has."""
    if probe.stage != STAGE or probe.in_a_row < IN_A_ROW:
        return
    found = await tx.fetch_optional(
        _SQL["strikes"], egress_id=probe.egress_id, remembered=REMEMBERED
    )
    if found is None:
        return
    strikes = found["strikes"] + 1
    made = await tx.fetch_optional(
        _SQL["mark"],
        egress_id=probe.egress_id,
        node_id=session.node_id,
        stage=probe.stage,
        detail=probe.detail[:1000],
        strikes=strikes,
        lasts=lasts(strikes),
    )
    if made is None:
        return
    await tx.execute(_SQL["forget"], remembered=REMEMBERED)
    await write_audit(
        tx,
        actor=session.identity.actor,
        action="mark-unreachable",
        subject=f"egress/{probe.egress_id}",
        reason=f"{session.node_id} cannot reach its proxy: {probe.detail}"[:1000],
        evidence={
            "node": session.node_id,
            "stage": probe.stage,
            "failures_in_a_row": probe.in_a_row,
            "until": made["until"].isoformat(),
            "mark_number": strikes,
        },
    )


async def lift(tx: Transaction, session: NodeSession, egress_id: str) -> None:
    """Takes a good probe of an egress that this node has."""
    lifted = await tx.fetch_optional(_SQL["lift"], egress_id=egress_id, node_id=session.node_id)
    if lifted is not None:
        await write_audit(
            tx,
            actor=session.identity.actor,
            action="lift-unreachable",
            subject=f"egress/{egress_id}",
            reason=f"{session.node_id} reaches its proxy again",
            evidence={"node": session.node_id, "since": lifted["since"].isoformat()},
        )
