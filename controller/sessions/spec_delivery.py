"""Sends a node the spec it should run, and records what became of it."""

from __future__ import annotations

import structlog
from postfleet.v1 import node_pb2, spec_pb2

from controller.audit import write_audit
from controller.desired.read import read_spec
from controller.keys.sealing import Sealer
from controller.sessions.session import NodeSession
from controller.store import Store, Transaction, queries

_SQL = queries.load("sessions")
_log = structlog.get_logger(__name__)
# A spec the node could not apply is offered again: the reason may have been a passing one.
RETRY_S = 60.0


def is_spec_due(session: NodeSession, wanted_generation: int, now_s: float) -> bool:
    """Whether the wanted spec should be sent now. Pure."""
    if wanted_generation <= session.running_generation:
        return False
    return (
        wanted_generation != session.spec_sent_generation
        or now_s - session.spec_sent_at_s >= RETRY_S
    )


async def send_spec(store: Store, sealer: Sealer, session: NodeSession, now_s: float) -> None:
    """Builds the wanted spec from the database and puts it into the outbox."""

    async def work(tx: Transaction) -> spec_pb2.NodeSpec | None:
        return await read_spec(tx, sealer, session.node_id)

    spec = await store.run(work)
    if spec is None:
        return
    session.spec_sent(spec, now_s)
    session.outbox.put(node_pb2.ControllerMessage(spec=spec))
    _log.info("spec sent", node=session.node_id, generation=spec.generation)


async def record_spec_result(
    store: Store, session: NodeSession, result: node_pb2.SpecResult
) -> None:
    """What the node runs now, with its mailboxes; a failure is audited with its stage."""
    content = session.sent_specs.get(result.running_generation)
    error = "" if result.applied else f"{result.stage}: {result.error}"[:2000]

    async def work(tx: Transaction) -> None:
        if result.running_generation != session.running_generation or content is not None:
            await tx.execute(_SQL["forget_running"], node_id=session.node_id)
            if content:
                await tx.execute(
                    _SQL["record_running"],
                    node_id=session.node_id,
                    addresses=[address for address, _ in content],
                    egress_ids=[egress_id for _, egress_id in content],
                )
        await tx.execute(
            _SQL["spec_outcome"],
            node_id=session.node_id,
            running_generation=result.running_generation,
            spec_error=error,
        )
        if error:
            await write_audit(
                tx,
                actor=session.identity.actor,
                action="refuse-spec",
                subject=f"node/{session.node_id}",
                reason=error,
                evidence={
                    "generation": result.generation,
                    "running_generation": result.running_generation,
                },
            )

    await store.run(work)
    session.running_generation = result.running_generation
    session.forget_specs_before(result.running_generation)
    _log.info(
        "spec result", node=session.node_id, generation=result.generation, error=error or None
    )
