"""Reads from the store what intake must know to judge a batch. Decides nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from controller.intake.check import Client, Facts, Read
from controller.store import Transaction, queries
from inventory.schema import Limits

SQL = queries.load("intake")


async def known_keys(
    tx: Transaction, keys: Iterable[tuple[str, str]]
) -> dict[tuple[str, str], tuple[str, bytes]]:
    """(client id, key) -> (message id, fingerprint) for those that are taken."""
    asked = list(keys)
    rows = await tx.fetch_all(
        SQL["known_keys"], client_ids=[c for c, _ in asked], keys=[k for _, k in asked]
    )
    return {
        (row["client_id"], row["idempotency_key"]): (row["message_id"], bytes(row["fingerprint"]))
        for row in rows
    }


async def gather(tx: Transaction, messages: Sequence[Read]) -> Facts:
    """What is known about these messages' clients, mailboxes and recipients."""
    client_ids = sorted({message.submission.client_id for message in messages})
    senders = {
        (message.submission.mailbox or message.content.from_address or "").lower()
        for message in messages
    }
    recipients = {name for message in messages for name in message.suppressible()}
    fleet = await tx.fetch_optional(SQL["fleet"])
    settings = fleet["value"] if fleet else {}
    limits = settings.get("limits", {})
    clients = await tx.fetch_all(SQL["clients"], ids=client_ids)
    mailboxes = await tx.fetch_all(SQL["mailboxes"], addresses=sorted(senders - {""}))
    suppressed = await tx.fetch_all(
        SQL["suppressions"], client_ids=["", *client_ids], recipients=sorted(recipients)
    )
    domains = {message.recipient.rpartition("@")[2].lower() for message in messages}
    known = await tx.fetch_all(SQL["receivers"], domains=sorted(domains))
    return Facts(
        fleet=settings.get("name", "fleet"),
        size_limit_octets=limits.get("message_size_bytes", Limits().message_size_bytes),
        clients={row["id"]: Client(**row) for row in clients},
        mailboxes={row["address"]: (row["client_id"], row["display_name"]) for row in mailboxes},
        suppressed={(row["client_id"], row["recipient"]): row["reason"] for row in suppressed},
        receivers={row["domain"]: row["receiver"] for row in known},
    )
