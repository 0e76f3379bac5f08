"""A campaign with follow-ups in a database, whose messages end as a test says."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import psycopg
from postfleet.v1 import campaign_pb2

from controller.campaigns.define import define
from controller.campaigns.settings import Settings
from controller.campaigns.take import take, target
from controller.store import Store

CONTENT = b"To: <%s>\r\nSubject: %s\r\nContent-Type: text/plain\r\n\r\nHello.\r\n"


def settings(**more: Any) -> Settings:
    """Of campaign `november`, of client acme, with follow-ups after 3 and 7 days."""
    given: dict[str, Any] = {
        "id": "november", "client_id": "acme", "priority": 0, "burst_per_hour": None, "windows": [],
        "time_zone": "UTC", "domains": None, "mailboxes": None, "delays_days": [3, 7],
        "on_uncertain": "stop", "text_sha256": hashlib.sha256(b"text").digest(),
    }  # fmt: skip
    return Settings(**given | more)


async def start(store: Store, people: Sequence[str], **more: Any) -> None:
    """Defines it and hands its recipients over."""
    wanted = settings(**more)
    await store.run(lambda tx: define(tx, wanted, "operator/ann"))
    recipients = [
        campaign_pb2.CampaignRecipient(
            address=who,
            contents=[CONTENT % (who.encode(), b"first")]
            + [CONTENT % (who.encode(), b"Re: first") for _ in wanted.delays_days],
        )
        for who in people
    ]
    reply = await take(store, await target(store, wanted.id), recipients)
    assert reply.accepted + reply.present == len(people)


def end(database: str, state: str, who: str = "%", days_ago: float = 0) -> list[str]:
    """What waits for such recipients ends so, through the first mailbox; gives the ids."""
    with psycopg.connect(database) as connection:
        found = connection.execute(
            "UPDATE message SET state = %s, attempts = 1,"
            " mailbox = coalesce(mailbox, (SELECT min(address) FROM mailbox)),"
            " final_at = CASE WHEN %s <> 'uncertain' THEN now() - make_interval(days => 1) * %s END"
            " WHERE recipient LIKE %s AND state = 'accepted' RETURNING id",
            (state, state, days_ago, who),
        ).fetchall()
    return sorted(row[0] for row in found)


def rows(database: str, query: str) -> list[Any]:
    """Rows, or values where there is one column."""
    with psycopg.connect(database) as connection:
        found = connection.execute(query).fetchall()
    return [row[0] if len(row) == 1 else row for row in found]


def stands(database: str) -> dict[str, tuple[str, int, str]]:
    """(state, step, reason) of each recipient."""
    found = rows(database, "SELECT recipient, state, step, reason FROM campaign_recipient")
    return {who: (state, step, why) for who, state, step, why in found}
