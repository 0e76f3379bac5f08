"""Probes: a bad one stops the egress for the whole fleet, a good one lets it go on.

One that did not get to the proxy at all may be its node's fault: see `controller.sessions.reach`.
Then the egress goes to another node, whose good probe lets it go on.
"""

from __future__ import annotations

from postfleet.v1 import node_pb2

from controller.audit import write_audit
from controller.sessions import reach
from controller.sessions.session import NodeSession
from controller.store import Store, Transaction, queries

_SQL = queries.load("probes")


async def record_probe(store: Store, session: NodeSession, probe: node_pb2.ProbeReport) -> None:
    """Keeps the probe, makes or lifts the suspension; a node speaks for its own egresses."""

    async def work(tx: Transaction) -> None:
        kept = await tx.execute(
            _SQL["keep"],
            egress_id=probe.egress_id,
            node_id=session.node_id,
            healthy=probe.healthy,
            stage=probe.stage[:64],
            detail=probe.detail[:1000],
            exit_ip=probe.exit_ip[:64],
            latency_ms=min(probe.latency_ms, 2**31 - 1),
        )
        if kept:
            await (_release if probe.healthy else _suspend)(tx, session, probe)
            if probe.healthy:
                await reach.lift(tx, session, probe.egress_id)
            else:
                await reach.mark(tx, session, probe)

    await store.run(work)


async def _suspend(tx: Transaction, session: NodeSession, probe: node_pb2.ProbeReport) -> None:
    # Whoever shows a suspension says its stage first.
    reason = probe.detail[:1000]
    evidence = {"node": session.node_id, "exit_ip": probe.exit_ip, "latency_ms": probe.latency_ms}
    changed = await tx.fetch_optional(
        _SQL["suspend"],
        egress_id=probe.egress_id,
        stage=probe.stage[:64],
        reason=reason,
        evidence=evidence,
    )
    if changed is not None:
        words = f"{probe.stage}: {reason}"
        await _audit(tx, session, probe.egress_id, "suspend-egress", words, evidence)


async def _release(tx: Transaction, session: NodeSession, probe: node_pb2.ProbeReport) -> None:
    lifted = await tx.fetch_optional(_SQL["release"], egress_id=probe.egress_id)
    if lifted is not None:
        was = f"{lifted['stage']}: {lifted['reason']}"
        evidence: dict[str, object] = {"node": session.node_id, "was": was}
        await _audit(tx, session, probe.egress_id, "release-egress", "a good probe", evidence)


async def _audit(
    tx: Transaction,
    session: NodeSession,
    egress_id: str,
    action: str,
    reason: str,
    evidence: dict[str, object],
) -> None:
    await write_audit(
        tx,
        actor=session.identity.actor,
        action=action,
        subject=f"egress/{egress_id}",
        reason=reason,
        evidence=evidence,
    )
