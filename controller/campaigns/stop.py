"""Stops what was to follow for recipients something came back from; and what is on its way to them.

A complaint, an unsubscribing, or an address that does not exist ends them in every campaign of the
client; a reply or any other bounce in the campaign whose message it answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from controller.campaigns.define import SQL
from controller.fleet.cancel import carry_out, judge
from controller.store import Transaction, queries

_CANCEL = queries.load("cancel")


@dataclass(frozen=True, slots=True)
class Heard:
    """What came back about a message, from a recipient (in lower case).

    `everywhere`: who wants, or can get, no more at all. `why`: in words that many recipients share.
    """

    message_id: str
    client_id: str
    recipient: str
    why: str
    everywhere: bool


async def stop(tx: Transaction, heard: Sequence[Heard], actor: str) -> int:
    """Gives how many recipients of campaigns were stopped; doing it twice changes nothing."""
    # The gravest last word of one recipient: one that ends everything hides none that ends less.
    ordered = sorted(set(heard), key=lambda each: (not each.everywhere, each.message_id, each.why))
    stopped = []
    for everywhere in (True, False):
        batch = [each for each in ordered if each.everywhere is everywhere]
        if batch:
            stopped += await tx.fetch_all(
                SQL["stop"],
                message_ids=[each.message_id for each in batch],
                client_ids=[each.client_id for each in batch],
                recipients=[each.recipient for each in batch],
                reasons=[each.why for each in batch],
                everywhere=[each.everywhere for each in batch],
            )
    if not stopped:
        return 0
    await tx.execute(
        SQL["drop_rest"],
        campaign_ids=[row["campaign_id"] for row in stopped],
        recipients=[row["recipient"] for row in stopped],
    )
    await _ask_back(tx, {row["message_id"]: row["reason"] for row in stopped}, actor)
    return len(stopped)


async def _ask_back(tx: Transaction, why: dict[str, str], actor: str) -> None:
    """Cancels the message each of them was to get next, where it has not ended."""
    rows = {row["id"]: row for row in await tx.fetch_all(_CANCEL["lock"], ids=sorted(why))}
    for reason in sorted(set(why.values())):
        mine = {id: row for id, row in rows.items() if why[id] == reason}
        await carry_out(
            tx, mine, {id: judge(row, actor) for id, row in mine.items()}, actor, reason
        )
