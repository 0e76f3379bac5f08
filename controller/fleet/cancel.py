"""Cancels messages: at once where no node has them, else by asking the node that does.

What a node has may be sent at any moment until it says that it gave the message back, so
`cancelled` is only ever written on the node's word (RETURNED). Until then the row remembers who
asked; sessions repeat the question (controller/sessions/cancels.py), and what comes back ends here
instead of being dispatched again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from postfleet.v1 import fleet_pb2

from controller.audit import Entry, write_audits
from controller.fleet.errors import BadRequestError
from controller.fleet.ordering import reason_given, run_order
from controller.fleet.pages import clean
from controller.message_life import STEPS, Event, State
from controller.planner.ledger import refund
from controller.store import Row, Store, Transaction, queries
from controller.throttle.follow import ACTOR as RULES

_SQL = queries.load("cancel")
_MOST_IDS = 10_000
# What is uncertain is an operator's to resolve (controller/fleet/resolve.py).
_STATES = [str(s) for s in STEPS[Event.CANCELLED].sources if s is not State.UNCERTAIN]
_ON_NODE = (State.DISPATCHED, State.QUEUED)
CANCELLED, ASKED, TOO_LATE, UNKNOWN = "cancelled", "asked", "too-late", "unknown"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What can be done about one message. `ends`: it is cancelled here and now."""

    outcome: str
    detail: str
    ends: bool = False


def judge(row: Row | None, actor: str) -> Verdict:
    """What a request by `actor` does to a message as it stands (a row of cancel.lock). Pure."""
    if row is None:
        return Verdict(UNKNOWN, "there is no such message")
    state, node_id = row["state"], row["node_id"]
    if state == State.CANCELLED:
        return Verdict(CANCELLED, row["reason"] or "cancelled before")
    if state == State.UNCERTAIN:
        words = "it may have been sent: `postfleet message resolve` says what shall become of it"
        return Verdict(TOO_LATE, f"{words} ({row['reason']})")
    if state in _ON_NODE:
        if not row["term_held"]:
            return Verdict(
                ASKED,
                f"it is on node {node_id}, whose term is over: cancelled when the node comes back "
                "and says that it was not sent",
            )
        where = "in its Postfix's queue" if state == State.QUEUED else "waiting for its time"
        return Verdict(
            ASKED,
            f"it is on node {node_id}, {where}: cancelled when the node has given it back, which "
            "takes seconds; what is being delivered just now may still go out",
        )
    if state in _STATES:
        return Verdict(CANCELLED, f"cancelled by {actor}", ends=True)
    return Verdict(TOO_LATE, f"it has ended: {state}{': ' if row['reason'] else ''}{row['reason']}")


async def cancel_messages(
    store: Store, request: fleet_pb2.CancelMessagesRequest, actor: str
) -> fleet_pb2.CancelMessagesReply:
    """One result for each id, in the order asked. Raises BadRequestError."""
    ids = list(dict.fromkeys(clean(each, "ids") for each in request.ids))
    if not 0 < len(ids) <= _MOST_IDS:
        raise BadRequestError(f"ids: {len(ids):,}; 1 to {_MOST_IDS:,} in one request")
    reason = reason_given(request.reason)

    async def work(tx: Transaction) -> fleet_pb2.CancelMessagesReply:
        rows = {row["id"]: row for row in await tx.fetch_all(_SQL["lock"], ids=ids)}
        verdicts = {id: judge(rows.get(id), actor) for id in ids}
        await carry_out(tx, rows, verdicts, actor, reason)
        changed = {
            id: verdict
            for id, verdict in verdicts.items()
            if verdict.ends or (verdict.outcome == ASKED and not rows[id]["cancel_asked_by"])
        }
        await write_audits(
            tx,
            [
                Entry(
                    actor=actor,
                    action="cancel-message",
                    subject=f"message/{id}",
                    reason=reason,
                    evidence={"state": rows[id]["state"], "outcome": verdict.outcome},
                )
                for id, verdict in changed.items()
            ],
        )
        return fleet_pb2.CancelMessagesReply(
            results=[
                fleet_pb2.CancelResult(id=id, outcome=v.outcome, detail=v.detail)
                for id, v in verdicts.items()
            ]
        )

    return await run_order(store, work, request.dry_run)


async def carry_out(
    tx: Transaction,
    rows: Mapping[str, Row],
    verdicts: Mapping[str, Verdict],
    actor: str,
    reason: str,
) -> None:
    """Does what `judge` said of rows that are locked."""
    await _end(tx, [(rows[id], v.detail) for id, v in verdicts.items() if v.ends], reason)
    asked = [id for id, v in verdicts.items() if v.outcome == ASKED]
    await tx.execute(_SQL["ask"], ids=asked, actor=actor)


async def end_what_came_back(tx: Transaction, limit: int) -> int:
    """Cancels what nodes gave back and somebody wanted cancelled; gives how many. What a shaping
    rule called refused for good is bounced, with the receiver's words."""
    rows = await tx.fetch_all(_SQL["came_back"], limit=limit, by_rule=RULES)
    by_rule = [row for row in rows if row["cancel_asked_by"] == RULES]
    others = [row for row in rows if row["cancel_asked_by"] != RULES]
    await _end(tx, [(row, f"cancelled by {row['cancel_asked_by']}") for row in others], "")
    await _end(tx, [(row, row["words"]) for row in by_rule], "", State.BOUNCED)
    return len(rows)


async def _end(
    tx: Transaction,
    ending: Iterable[tuple[Row, str]],
    reason: str,
    state: State = State.CANCELLED,
) -> None:
    """Ends these with their words. What no receiver was asked to take gives its allowance back."""
    chosen = list(ending)
    if not chosen:
        return
    await refund(tx, [row["id"] for row, _ in chosen if row["attempts"] == 0])
    await tx.execute(
        _SQL["end"],
        ids=[row["id"] for row, _ in chosen],
        reasons=[f"{words}: {reason}" if reason else words for _, words in chosen],
        state=str(state),
        states=_STATES,
    )
