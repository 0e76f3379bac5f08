"""One client's turn in a planner cycle: a batch of its messages, in one transaction.

The client's row is locked, so that two planners never work on the same client; clients share no
mailbox, domain and egress, and so no account of the ledger. Reads mailboxes with a due slot and as
many messages as they could take, however many wait.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from controller.from_field import from_line
from controller.planner import ledger
from controller.planner.assignment import Assignment, Moment, accounts_in
from controller.planner.boxes import Box, Queues, Slot, Waiting, health_of
from controller.planner.budgets import Budgets
from controller.planner.choice import choose
from controller.planner.lanes import Lane
from controller.planner.limits import Sender
from controller.planner.open_lanes import open_lanes, pools
from controller.planner.reasons import Reasons, explain
from controller.planner.settings import Settings, week_of
from controller.planner.special import caps_for
from controller.store import Row, Transaction, queries

SQL = queries.load("planner")
# Of each lane and provider at least so many heads of queues are read.
_FEWEST = 50


@dataclass(frozen=True, slots=True)
class Round:
    """What came of it. `why` binds what was left; `more`: a further round would do more."""

    assigned: int
    why: str = ""
    more: bool = False
    taken_by_other: bool = False


async def plan_client(
    tx: Transaction, client_id: str, moment: Moment, settings: Settings, batch: int
) -> Round:
    """Assigns at most `batch` messages of a client. Raises TransactionConflict: do it again."""
    client = await tx.fetch_optional(SQL["lock_client"], id=client_id)
    if client is None:
        return Round(0, taken_by_other=True)
    boxes: dict[str, Box] = {}
    waiting: list[Waiting] = []
    lanes = await open_lanes(tx, client_id, moment)
    if not client["retired"]:
        internal_days = settings.warm_up.internal_days
        boxes, waiting = await _read(tx, client, moment, batch, lanes, internal_days)
    caps = await caps_for(tx, client, boxes.values(), settings, lanes.values())
    providers = {m.provider for m in waiting}
    accounts = accounts_in(boxes.values(), providers, moment, lanes.values(), caps.curved)
    budgets = Budgets(caps, await ledger.used(tx, accounts))
    choice = choose(boxes.values(), Queues(waiting), budgets, moment, settings.pace, batch)
    scheduled = await _schedule(tx, choice.assignments, boxes, budgets)
    await _keep(tx, choice.slots)
    of = Reasons(client_id, moment, list(lanes), settings.warm_up.internal_days, idle=not scheduled)
    why = await explain(tx, of)
    return Round(scheduled, why, more=bool(choice.slots))


async def _read(
    tx: Transaction,
    client: Row,
    moment: Moment,
    batch: int,
    lanes: Mapping[int, Lane],
    internal_days: int,
) -> tuple[dict[str, Box], list[Waiting]]:
    """Mailboxes with a due slot for which something waits, and what waits for them."""
    asked = {"client_id": client["id"], "until": moment.until, "lanes": list(lanes)}
    each = max(_FEWEST, -(-batch // len(lanes)))
    for_any = await tx.fetch_all(SQL["heads_for_any"], **asked, each=each)
    usable = {"now": moment.now, "internal_days": internal_days}
    owners = await tx.fetch_all(SQL["boxes_with_own"], **asked, **usable, limit=batch)
    own = []
    if owners:
        addresses = [row["address"] for row in owners]
        each = -(-batch // len(addresses))
        own = await tx.fetch_all(SQL["own_heads"], **asked, addresses=addresses, each=each)
    limit = min(batch, len(for_any))
    rows = list(owners)
    for domains, mailboxes in pools(lanes[row["lane"]] for row in for_any):
        rows += await tx.fetch_all(
            SQL["boxes_for_any"], client_id=client["id"], until=moment.until, **usable,
            limit=limit, domains=domains, mailboxes=mailboxes,
        )  # fmt: skip
    windows = tuple(client["windows"])
    boxes = {row["address"]: box_of(row, client["id"], windows) for row in rows}
    return boxes, [_waiting(row, lanes[row["lane"]]) for row in (*for_any, *own)]


def box_of(row: Row, client_id: str, windows: tuple[str, ...]) -> Box:
    """A mailbox from a row of `boxes_for_any`; `windows`: of its client."""
    return Box(
        Sender(row["address"], row["egress_id"], row["domain"], client_id),
        row["display_name"],
        week_of(row["time_zone"], windows),
        row["seed"],
        Slot(
            row["due_at"], row["slot_at"], row["held"], row["held_since"], row["held_until"]
        ),
        health_of(row["score"]),
        row["internal"],
    )  # fmt: skip


def _waiting(row: Row, lane: Lane) -> Waiting:
    return Waiting(
        row["id"], row["mailbox"], row["provider"], row["not_before"], row["charged"], lane
    )  # fmt: skip


async def _schedule(
    tx: Transaction, assignments: Sequence[Assignment], boxes: Mapping[str, Box], budgets: Budgets
) -> int:
    if not assignments:
        return 0
    rows = await tx.fetch_all(
        SQL["schedule"],
        ids=[a.message.id for a in assignments],
        mailboxes=[a.sender.mailbox for a in assignments],
        egress_ids=[a.sender.egress_id for a in assignments],
        ats=[a.at for a in assignments],
        days=[a.day for a in assignments],
        hours=[a.hour for a in assignments],
        providers=[a.message.provider for a in assignments],
        curved=[a.curved for a in assignments],
    )
    # Who was cancelled since it was read is not charged.
    ids = {row["id"] for row in rows}
    written = [a for a in assignments if a.message.id in ids]
    await ledger.charge(tx, written, budgets)
    chosen = [a for a in written if a.message.mailbox is None]
    if chosen:
        lines = [from_line(boxes[a.sender.mailbox].display_name, a.sender.mailbox) for a in chosen]
        await tx.execute(SQL["add_from"], ids=[a.message.id for a in chosen], lines=lines)
    return len(written)


async def _keep(tx: Transaction, slots: Mapping[str, Slot]) -> None:
    if not slots:
        return
    ordered = sorted(slots.items())
    await tx.execute(
        SQL["keep_slots"],
        addresses=[address for address, _ in ordered],
        due_ats=[slot.due_at for _, slot in ordered],
        slot_ats=[slot.slot_at for _, slot in ordered],
        helds=[slot.held for _, slot in ordered],
        held_sinces=[slot.held_since for _, slot in ordered],
        held_untils=[slot.held_until for _, slot in ordered],
    )
