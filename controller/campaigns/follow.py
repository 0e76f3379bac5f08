"""Follow-ups: looks at how messages ended, and makes messages of what is due.

Both are one transaction for a batch. A recipient's row says which message is waited for, or when
the next one is due, so a controller that dies in between leaves one or the other, never both.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import groupby

from controller.campaigns.after import STOPPED, Ended, after
from controller.campaigns.define import SQL
from controller.campaigns.letter import message_key
from controller.campaigns.settings import Settings, stored
from controller.campaigns.take import lanes_in, words_of
from controller.fleet.resolve import send_again
from controller.intake.check import Place, Submission
from controller.intake.ingest import Result, Taken, ingest
from controller.intake.rejection import Code
from controller.message_life import State
from controller.store import Row, Store, Transaction

_MESSAGE_ID = re.compile(rb"^Message-ID: (<[^>\r\n]+>)\r$", re.MULTILINE)
# Why nothing follows where intake does not take a follow-up; other codes say so themselves.
_REFUSED = {
    Code.SUPPRESSED: STOPPED[State.SUPPRESSED],
    Code.UNKNOWN_MAILBOX: "its mailbox left the inventory",
}


class _Changed(Exception):
    """A recipient stopped, or a campaign paused, since we looked; nothing was stored."""


async def look_at_ended(tx: Transaction, limit: int) -> int:
    """Decides what follows messages that ended; gives how many it looked at."""
    rows = await tx.fetch_all(SQL["ended"], limit=limit)
    decided = [
        (row, following)
        for row in rows
        if row["recipient"] is not None
        and (following := after(_ended(row), row["delays_days"], row["on_uncertain"]))
    ]
    if decided:
        await tx.execute(
            SQL["go_on"],
            campaign_ids=[row["campaign_id"] for row, _ in decided],
            recipients=[row["recipient"] for row, _ in decided],
            message_ids=[row["id"] for row, _ in decided],
            stood=[row["stands"] for row, _ in decided],
            states=[each.state for _, each in decided],
            next_ats=[each.at for _, each in decided],
            reasons=[each.why for _, each in decided],
            mailboxes=[row["mailbox"] for row, _ in decided],
        )
        await _drop_rest(tx, [row for row, each in decided if not each.keeps_rest])
    if rows:
        await tx.execute(SQL["looked_at"], ids=[row["id"] for row in rows])
    for row, each in decided:
        if each.again:
            words = f"its campaign {row['campaign_id']} sends again what is uncertain"
            await send_again(tx, row["id"], words)
    return len(rows)


def _ended(row: Row) -> Ended:
    return Ended(State(row["state"]), row["step"], row["final_at"], row["stands"], row["why"])


async def _drop_rest(tx: Transaction, rows: Sequence[Row]) -> None:
    if rows:
        await tx.execute(
            SQL["drop_rest"],
            campaign_ids=[row["campaign_id"] for row in rows],
            recipients=[row["recipient"] for row in rows],
        )


async def send_due(store: Store, limit: int) -> int:
    """Makes messages of follow-ups whose time has come; gives how many were due.

    Raises StoreError; what was not stored is still due.
    """
    rows = await store.fetch_all(SQL["due"], limit=limit)
    for campaign_id, due in groupby(rows, lambda row: str(row["campaign_id"])):
        await _send(store, campaign_id, list(due))
    return len(rows)


async def _send(store: Store, campaign_id: str, due: Sequence[Row]) -> None:
    async with store.transaction() as tx:
        row = await tx.fetch_one(SQL["lock"], id=campaign_id)
        settings = stored(row)
        zones = sorted({each["time_zone"] for each in due})
        lanes = await lanes_in(tx, campaign_id, zones, follow_up=True)
        firsts = await _first_ids(tx, settings, due)
    batch = [
        Submission(
            message_key(settings.id, each["step"], each["address"]),
            settings.client_id,
            each["mailbox"],
            each["address"],
            None,
            _head(firsts.get(_first_key(settings, each))) + bytes(each["content"]),
            Place(lanes[each["time_zone"]], words_of(settings.id), _watched(settings, each)),
        )
        for each in due
    ]

    async def also(tx: Transaction, results: Mapping[int, Result]) -> None:
        # Whoever pauses or cancels meanwhile waits for this, or this sees it.
        campaign = await tx.fetch_one(SQL["lock"], id=campaign_id)
        if campaign["state"] != "running":
            raise _Changed
        await _took(tx, settings, [(due[n], result) for n, result in results.items()])

    try:
        await ingest(store, batch, also=also)
    except _Changed:
        return


def _first_key(settings: Settings, row: Row) -> str:
    return message_key(settings.id, 0, row["address"])


async def _first_ids(tx: Transaction, settings: Settings, due: Sequence[Row]) -> dict[str, bytes]:
    """The Message-IDs of their first messages, by key, as they stand in those."""
    keys = [_first_key(settings, each) for each in due]
    rows = await tx.fetch_all(SQL["headers"], client_id=settings.client_id, keys=keys)
    found = {row["key"]: _MESSAGE_ID.search(bytes(row["added"])) for row in rows}
    return {key: match[1] for key, match in found.items() if match}


def _head(first: bytes | None) -> bytes:
    """The first message is the one that is answered (RFC 5322 section 3.6.4)."""
    if first is None:
        return b""
    return b"In-Reply-To: " + first + b"\r\nReferences: " + first + b"\r\n"


def _watched(settings: Settings, row: Row) -> bool:
    return row["step"] < len(settings.delays_days) or settings.on_uncertain == "resend"


async def _took(
    tx: Transaction, settings: Settings, answered: Sequence[tuple[Row, Result]]
) -> None:
    steps = [row["step"] for row, _ in answered]
    recipients = [row["recipient"] for row, _ in answered]
    states: list[str] = []
    reasons: list[str] = []
    ids: list[str | None] = []
    for row, result in answered:
        if isinstance(result, Taken):
            states.append("open" if _watched(settings, row) else "done")
            reasons.append("")
            ids.append(str(result.message_id))
        else:
            states.append("stopped")
            reasons.append(_REFUSED.get(result.code, f"a follow-up was refused: {result.code}"))
            ids.append(None)
    changed = await tx.fetch_all(
        SQL["took_step"], id=settings.id, recipients=recipients, steps=steps, message_ids=ids,
        states=states, reasons=reasons,
    )  # fmt: skip
    if len(changed) != len(answered):
        raise _Changed
    await tx.execute(SQL["drop_step"], id=settings.id, recipients=recipients, steps=steps)
    await _drop_rest(
        tx,
        [{"campaign_id": settings.id, "recipient": who}
         for who, state in zip(recipients, states, strict=True) if state == "stopped"],
    )  # fmt: skip
