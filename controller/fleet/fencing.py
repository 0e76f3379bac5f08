"""Fences a node: its term ends at once, because an operator attests that it is off or cut.

Nothing is awaited of the node, so its egresses go to others with the next look of reconcile. What
is on its disk stays there and waits for its report. A fenced node gets nothing until it has booted
again (it was off), has a new certificate (it is another machine), or an operator opens it: one that
is in fact alive is told at once that it holds nothing, and its old term never comes back.
"""

from __future__ import annotations

from postfleet.v1 import fleet_pb2

from controller.audit import write_audit
from controller.desired.current import timing_of
from controller.desired.read import read_fleet
from controller.fleet.errors import FleetChangedError, RefusedError
from controller.fleet.ordering import lock_node, node_now, reason_given, run_order
from controller.fleet.signs_of_life import signs_of_life
from controller.leases.watcher import fence_node
from controller.store import Row, Store, Transaction, queries

_SQL = queries.load("fencing")
_LEASES = queries.load("shards")


async def fence(
    store: Store, request: fleet_pb2.FenceNodeRequest, actor: str
) -> fleet_pb2.FenceNodeReply:
    """Ends the node's term now. Fencing what is fenced changes nothing.

    Raises NotFoundError, BadRequestError, RefusedError, and FleetChangedError where the node began
    another term than the one that the operator was shown.
    """
    reason = reason_given(request.reason)

    async def work(tx: Transaction) -> fleet_pb2.FenceNodeReply:
        await lock_node(tx, request.node_id)
        await tx.fetch_all(_LEASES["lock_leases"], node_ids=[request.node_id])
        row = await tx.fetch_one(_SQL["at_stake"], node_id=request.node_id)
        _check(request, row)
        stake = await _stake(tx, request.node_id, row)
        changed = row["held"] or not row["fenced"] or row["egresses"] > 0
        if changed:
            await _fence(tx, request.node_id, actor, reason, stake)
        after = await node_now(tx, request.node_id)
        return fleet_pb2.FenceNodeReply(changed=changed, node=after, at_stake=stake)

    return await run_order(store, work, request.dry_run)


def _check(request: fleet_pb2.FenceNodeRequest, row: Row) -> None:
    if row["decommissioned"] and not row["held"] and not row["egresses"]:
        raise RefusedError([
            f"node {request.node_id} is decommissioned and holds nothing: there is nothing to fence"
        ])  # fmt: skip
    if request.epoch and request.epoch != row["epoch"]:
        raise FleetChangedError(
            f"node {request.node_id} was in term {request.epoch} when you were asked and is in "
            f"term {row['epoch']} now. Nothing was changed; look again, and decide again"
        )


async def _stake(tx: Transaction, node_id: str, row: Row) -> fleet_pb2.NodeStake:
    fleet = await read_fleet(tx)
    counts = await tx.fetch_all(_SQL["messages_on_node"], node_id=node_id)
    stake = fleet_pb2.NodeStake(
        life=signs_of_life(row["connected"], row["silent_s"], timing_of(fleet)),
        connected=row["connected"],
        epoch=row["epoch"],
        lease_valid=row["held"],
        egresses=row["egresses"],
        mailboxes=row["mailboxes"],
        clients=row["clients"],
        messages={each["state"]: each["messages"] for each in counts},
        messages_deferred=sum(each["deferred"] for each in counts),
        messages_not_due=sum(each["not_due"] for each in counts),
    )
    if row["last_seen"] is not None:
        stake.last_seen.FromDatetime(row["last_seen"])
    return stake


async def _fence(
    tx: Transaction, node_id: str, actor: str, reason: str, stake: fleet_pb2.NodeStake
) -> None:
    await write_audit(
        tx,
        actor=actor,
        action="fence-node",
        subject=f"node/{node_id}",
        reason=reason,
        evidence={
            "life": stake.life,
            "epoch": stake.epoch,
            "egresses": stake.egresses,
            "mailboxes": stake.mailboxes,
            "messages": dict(stake.messages),
        },
    )
    await tx.execute(_SQL["set_fenced"], node_id=node_id, fenced=True)
    if stake.lease_valid or stake.egresses:
        attested = "attested to be off or cut"
        await fence_node(tx, node_id, actor, f"{attested}: {reason}" if reason else attested)
