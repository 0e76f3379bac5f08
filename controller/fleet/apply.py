"""Plan and apply an inventory: all of it in one transaction, or nothing.

The transaction holds the lock "inventory", so two applies follow each other. DKIM keys of new
domains are made before it begins (they take a while) and stored within it. Where something is
removed or moved, messages stand still from the count of what is unfinished until the commit.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable

from controller.audit import write_audit
from controller.fleet.affected import affected
from controller.fleet.errors import FleetChangedError, RefusedError
from controller.fleet.plan import Action, Change, Plan, plan
from controller.fleet.read import current_rows, in_use
from controller.fleet.rows import FleetRows, MailboxRow
from controller.fleet.write import write_changes
from controller.keys.dkim import DkimKeyPair, make_dkim_keys
from controller.keys.sealing import Sealer, dkim_key_row
from controller.planner.unplan import draw_slots, unplan
from controller.store import Store, Transaction, queries
from controller.store.errors import RowRefused

_SQL = queries.load("inventory")
Selector = tuple[str, str]


class _MoreKeysError(Exception):
    """There are domains for which no key was made yet."""

    def __init__(self, missing: set[Selector]) -> None:
        super().__init__(missing)
        self.missing = missing


async def plan_inventory(store: Store, sealer: Sealer, wanted: FleetRows) -> Plan:
    """What an apply would do now. Changes nothing."""
    async with store.transaction() as tx:
        return await _plan(tx, sealer, wanted)


async def apply_inventory(store: Store, sealer: Sealer, wanted: FleetRows, actor: str) -> Plan:
    """Makes the fleet what is wanted; an empty plan wrote nothing.

    Raises RefusedError with all reasons, FleetChangedError, UnsealError, StoreError.
    """
    keys: dict[Selector, DkimKeyPair] = {}
    while True:
        try:
            return await store.run(lambda tx: _apply(tx, sealer, wanted, actor, keys))
        except _MoreKeysError as more:
            missing = sorted(more.missing)
            made = await asyncio.to_thread(make_dkim_keys, [domain for domain, _ in missing])
            keys.update(zip(missing, made, strict=True))
        except RowRefused as error:
            raise FleetChangedError(
                "the inventory was not applied, and nothing was changed: something it needs was "
                f"changed or taken in the same moment ({error.detail}). Apply it again"
            ) from error


async def _apply(
    tx: Transaction,
    sealer: Sealer,
    wanted: FleetRows,
    actor: str,
    keys: dict[Selector, DkimKeyPair],
) -> Plan:
    await tx.lock("inventory")
    planned = await _plan(tx, sealer, wanted)
    if any(_needs_stillness(change) for change in planned.changes):
        await tx.execute(_SQL["lock_messages"])
        await tx.execute(_SQL["lock_assignments"])
        planned = await _plan(tx, sealer, wanted)
    if planned.refusals:
        raise RefusedError(planned.refusals)
    there = {(row["domain"], row["selector"]) for row in await tx.fetch_all(_SQL["dkim_keys"])}
    needed = {(row.name, row.dkim_selector) for row in wanted.domains.values()} - there
    if not needed <= keys.keys():
        raise _MoreKeysError(needed - keys.keys())
    if not planned.changes and not needed:
        return planned
    await _raise_generations(tx, planned.changes, wanted)
    await _plan_anew(tx, planned.changes)
    await write_changes(tx, sealer, planned.changes)
    if any(_repaces(change) for change in planned.changes):
        await draw_slots(tx)
    await _store_keys(tx, sealer, {selector: keys[selector] for selector in sorted(needed)})
    await _audit(tx, planned.changes, sorted(needed), wanted, actor)
    return planned


async def _plan(tx: Transaction, sealer: Sealer, wanted: FleetRows) -> Plan:
    current, held = await current_rows(tx, sealer), await in_use(tx)
    return await asyncio.to_thread(plan, current, wanted, held)


def _needs_stillness(change: Change) -> bool:
    """Whether messages on their way could be left without what they need."""
    if change.action in (Action.REMOVE, Action.RETIRE):
        return True
    before, after = change.before, change.after
    if isinstance(before, MailboxRow) and isinstance(after, MailboxRow):
        return (before.egress_id, before.client_id) != (after.egress_id, after.client_id)
    return change.kind == "egress" and change.action is Action.CHANGE


def _repaces(change: Change) -> bool:
    """Whether slots that were drawn may not be right any more."""
    return change.action is Action.CHANGE and change.kind in ("fleet", "client", "domain")


async def _store_keys(tx: Transaction, sealer: Sealer, keys: dict[Selector, DkimKeyPair]) -> None:
    await tx.execute_many(
        _SQL["put_dkim_key"],
        [
            {
                "domain": domain,
                "selector": selector,
                "public_key": pair.public_b64,
                "sealed_key": sealer.seal(
                    pair.private_pem.encode(), dkim_key_row(domain, selector)
                ),
            }
            for (domain, selector), pair in keys.items()
        ],
    )


async def _raise_generations(tx: Transaction, changes: Iterable[Change], wanted: FleetRows) -> None:
    touched = affected(changes, wanted)
    if touched.all_nodes:
        await tx.execute(_SQL["raise_all_generations"])
    elif touched.egress_ids or touched.node_ids:
        await tx.execute(
            _SQL["raise_generations"],
            egress_ids=sorted(touched.egress_ids),
            node_ids=sorted(touched.node_ids),
        )


async def _plan_anew(tx: Transaction, changes: Iterable[Change]) -> None:
    """Mail of a moved mailbox that no node has yet goes through its new egress."""
    moved = [change.id for change in changes if _moves(change)]
    if moved:
        rows = await tx.fetch_all(_SQL["scheduled_for_mailboxes"], addresses=moved)
        await unplan(tx, [row["id"] for row in rows], "its mailbox moved to another egress")


def _moves(change: Change) -> bool:
    before, after = change.before, change.after
    return (
        isinstance(before, MailboxRow)
        and isinstance(after, MailboxRow)
        and before.egress_id != after.egress_id
    )


async def _audit(
    tx: Transaction,
    changes: tuple[Change, ...],
    keys: list[Selector],
    wanted: FleetRows,
    actor: str,
) -> None:
    """One entry for the whole, and one for each thing that was there before."""
    name = wanted.fleet.value["name"] if wanted.fleet else ""
    counts = Counter(f"{change.action}-{change.kind}" for change in changes)
    await write_audit(
        tx,
        actor=actor,
        action="apply-inventory",
        subject=f"fleet/{name}",
        evidence={"changes": dict(counts), "dkim_keys": [f"{s}@{d}" for d, s in keys]},
    )
    for change in changes:
        if change.action is not Action.ADD:
            await write_audit(
                tx,
                actor=actor,
                action=f"{change.action}-{change.kind}",
                subject=f"{change.kind}/{change.id}",
                reason="inventory",
                evidence={"details": list(change.details)},
            )
