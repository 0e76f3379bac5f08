"""Opens a session: who may, and what its beginning means for messages that are on the node.

A node may speak for itself only, with the one certificate that is in force. A node that comes with
another spool has lost its disk: what it certainly never handed over is dispatched anew, the rest
becomes `uncertain`, because it may have been sent after the last report (docs/decisions says why
one can know: "Due by the controller's clock"). Everything else about it goes on where it was.
"""

from __future__ import annotations

import uuid

from postfleet.v1 import node_pb2

from controller.audit import Pace, write_audit
from controller.events.discards import disk_gone
from controller.keys.identity import Identity
from controller.sessions.errors import SessionRefused
from controller.sessions.session import NodeSession
from controller.store import Row, Store, Transaction, queries

_SQL = queries.load("sessions")
_LEASES = queries.load("leases")
_DISPATCH = queries.load("dispatch")


def reason_to_refuse(identity: Identity, hello: node_pb2.Hello, node: Row | None) -> str:
    """Why this caller may not open this session; empty: it may. Pure."""
    if hello.node_id != identity.id:
        return f"the certificate is node {identity.id}'s, the session asked for {hello.node_id}'s"
    if node is None:
        return f"node {identity.id} is not in the inventory"
    if node["certificate_sha256"] is None:
        return f"node {identity.id} is not enrolled: run fab provision"
    if bytes(node["certificate_sha256"]) != identity.certificate_sha256:
        return f"this certificate of node {identity.id} was replaced by another one"
    if not hello.spool_id:
        return "Hello without spool_id"
    return ""


async def admit(store: Store, identity: Identity, hello: node_pb2.Hello, pace: Pace) -> NodeSession:
    """The opened session. Raises SessionRefused, after writing the refusal to the audit log."""
    session_id = uuid.uuid4().hex

    async def work(tx: Transaction) -> str:
        node = await tx.fetch_optional(_SQL["node_for_hello"], node_id=identity.id)
        refusal = reason_to_refuse(identity, hello, node)
        if not refusal and node is not None:
            await _begin(tx, session_id, hello, node)
        return refusal

    refusal = await store.run(work)
    if refusal:
        if pace.is_due(identity.actor, refusal):
            await write_audit(
                store,
                actor=identity.actor,
                action="refuse-session",
                subject=f"node/{hello.node_id[:64]}",
                reason=refusal,
                evidence={"certificate_sha256": identity.certificate_sha256.hex()},
            )
        raise SessionRefused(refusal)
    return NodeSession(
        identity=identity,
        session_id=session_id,
        boot_id=hello.boot_id,
        spool_id=hello.spool_id,
        running_generation=hello.running_generation,
    )


async def _begin(tx: Transaction, session_id: str, hello: node_pb2.Hello, node: Row) -> None:
    await tx.execute(_LEASES["take_session"], node_id=hello.node_id, session_id=session_id)
    if node["spool_id"] not in ("", hello.spool_id):
        await _disk_is_new(tx, hello, node["spool_id"])
    if hello.running_generation != node["running_generation"]:
        await tx.execute(_SQL["forget_running"], node_id=hello.node_id)
        if hello.running_generation == node["wanted_generation"]:
            await tx.execute(_SQL["record_wanted"], node_id=hello.node_id)
    if node["fenced"] and node["boot_id"] not in ("", hello.boot_id[:64]):
        await _was_off(tx, hello, node["boot_id"])
    await tx.execute(
        _SQL["begin"],
        node_id=hello.node_id,
        agent_version=hello.agent_version[:64],
        boot_id=hello.boot_id[:64],
        spool_id=hello.spool_id[:64],
        running_generation=hello.running_generation,
    )


async def _was_off(tx: Transaction, hello: node_pb2.Hello, old_boot_id: str) -> None:
    """What an operator attested is seen to be true: the machine was off. The fence ends."""
    await write_audit(
        tx,
        actor="controller/sessions",
        action="end-fence",
        subject=f"node/{hello.node_id}",
        reason="it booted again since, so it was off as attested",
        evidence={"boot_id_before": old_boot_id, "boot_id": hello.boot_id[:64]},
    )


async def _disk_is_new(tx: Transaction, hello: node_pb2.Hello, old_spool_id: str) -> None:
    told = f"node {hello.node_id} lost its disk (spool {old_spool_id} became {hello.spool_id})"
    back = await tx.fetch_all(
        _DISPATCH["take_back_not_due"],
        node_id=hello.node_id,
        reason=f"{told}; it was not due yet, so it was never handed over there",
    )
    lost = await tx.fetch_all(_DISPATCH["lose_spool"], node_id=hello.node_id, told=told)
    await disk_gone(tx, hello.node_id)
    await write_audit(
        tx,
        actor="controller/sessions",
        action="lose-spool",
        subject=f"node/{hello.node_id}",
        reason=told,
        evidence={
            "uncertain": [row["id"] for row in lost][:1000],
            "count": len(lost),
            "scheduled": len(back),
        },
    )
