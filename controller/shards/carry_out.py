"""Writes steps into the database, each with its audit entry, and wakes the nodes they concern.

Every statement names what it expects to find: what a node or an operator changed since the steps
were decided is left as it is, and decided about anew in the next cycle.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from controller.audit import Entry, write_audits
from controller.shards.steps import Step, Steps
from controller.store import Row, Transaction, queries

_SQL = queries.load("shards")
_RELEASES = queries.load("releases")
_ACTIONS = {
    "assign": "assign-egress",
    "withdraw": "withdraw-egress",
    "ask_back": "ask-egress-back",
}


async def carry_out(tx: Transaction, steps: Steps, actor: str) -> None:
    """Does in `tx` what of `steps` is still possible."""
    touched = {
        node_id
        for step in (*steps.withdraw, *steps.ask_back, *steps.assign)
        for node_id in (step.node_id, step.goal)
        if node_id is not None
    }
    await tx.fetch_all(_SQL["lock_leases"], node_ids=sorted(touched))
    if steps.arrived:
        # First: one that has arrived may have to go on at once.
        await tx.execute(_SQL["end_moves"], egress_ids=steps.arrived)
    withdrawn = await _apply(tx, "withdraw", steps.withdraw, actor)
    await _begin_moves(tx, steps, await _apply(tx, "ask_back", steps.ask_back, actor))
    if steps.retarget:
        egress_ids, goals = zip(*steps.retarget, strict=True)
        await tx.execute(_SQL["retarget_moves"], egress_ids=list(egress_ids), to_nodes=list(goals))
    stuck = {step.egress_id for step in steps.withdraw} - {row["egress_id"] for row in withdrawn}
    free = [step for step in steps.assign if step.egress_id not in stuck]
    assigned = await _apply(tx, "assign", free, actor)
    if assigned:
        await tx.execute(_SQL["begin_terms_for_returned"], **_arrays(assigned))
    changed = {row["node_id"] for row in (*withdrawn, *assigned)}
    if changed:
        await tx.execute(_RELEASES["raise_generation"], node_ids=sorted(changed))


async def withdraw_idle(tx: Transaction) -> None:
    """Frees what nodes were to give back, and hold in no term any more."""
    freed = await tx.fetch_all(_SQL["withdraw_idle"])
    if freed:
        node_ids = sorted({row["node_id"] for row in freed})
        await tx.execute(_RELEASES["raise_generation"], node_ids=node_ids)


async def _begin_moves(tx: Transaction, steps: Steps, asked: Sequence[Row]) -> None:
    done = {row["egress_id"] for row in asked}
    begun = [step for step in steps.ask_back if step.egress_id in done]
    if begun:
        await tx.execute(
            _SQL["begin_moves"],
            egress_ids=[step.egress_id for step in begun],
            from_nodes=[step.node_id for step in begun],
            to_nodes=[step.goal for step in begun],
            reasons=[step.reason for step in begun],
        )


async def _apply(
    tx: Transaction, action: str, steps: Collection[Step], actor: str
) -> Sequence[Row]:
    """Runs one of the three changes and audits each that took place."""
    if not steps:
        return []
    done = await tx.fetch_all(
        _SQL[action],
        egress_ids=[step.egress_id for step in steps],
        node_ids=[step.node_id for step in steps],
    )
    by_egress = {step.egress_id: step for step in steps}
    await write_audits(tx, [_entry(action, by_egress[row["egress_id"]], actor) for row in done])
    return done


def _entry(action: str, step: Step, actor: str) -> Entry:
    return Entry(
        actor=actor,
        action=_ACTIONS[action],
        subject=f"egress/{step.egress_id}",
        reason=f"placement: {step.reason}",
        evidence={"node": step.node_id}
        | ({"to": step.goal} if step.goal not in (None, step.node_id) else {}),
    )


def _arrays(rows: Sequence[Row]) -> dict[str, list[str]]:
    return {
        "egress_ids": [row["egress_id"] for row in rows],
        "node_ids": [row["node_id"] for row in rows],
    }
