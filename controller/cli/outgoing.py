"""Turns inputs into what is submitted: one message for each recipient, each with its key. Pure.

A key that comes with the input is kept. Else it is derived from client, mailbox, recipient, time
and content: the same command again submits nothing twice. To send the same mail once more on
purpose, another `again` word makes other keys.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from email.parser import BytesHeaderParser
from email.policy import compat32
from email.utils import getaddresses

from controller.cli.input_message import InputError, InputMessage


@dataclass(frozen=True)
class Choices:
    """What the command line says for all messages; empty: the input says it."""

    client: str = ""
    mailbox: str = ""
    recipients: tuple[str, ...] = ()
    not_before: datetime | None = None
    again: str = ""


@dataclass(frozen=True)
class Outgoing:
    """One message to one recipient."""

    source: str
    client: str
    mailbox: str
    recipient: str
    not_before: datetime | None
    key: str
    content: bytes


def outgoing(inputs: Iterable[InputMessage], choices: Choices) -> Iterator[Outgoing]:
    """Raises InputError where client or recipient are nowhere said."""
    for each in inputs:
        client = choices.client or each.client
        if not client:
            raise InputError(each.source, 0, "whose mail is it? --client says it for all messages")
        mailbox = choices.mailbox or each.mailbox
        not_before = choices.not_before or each.not_before
        recipients = _recipients(each, choices)
        for recipient in recipients:
            key = each.idempotency_key
            if key and len(recipients) > 1:
                key = f"{key}/{recipient}"
            key = key or _derived(client, mailbox, recipient, not_before, choices.again, each)
            yield Outgoing(each.source, client, mailbox, recipient, not_before, key, each.content)


def _recipients(each: InputMessage, choices: Choices) -> tuple[str, ...]:
    if choices.recipients:
        return choices.recipients
    if each.recipient:
        return (each.recipient,)
    head = each.content.partition(b"\r\n\r\n")[0]
    header = BytesHeaderParser(policy=compat32).parsebytes(head)
    fields = [str(value) for name in ("To", "Cc") for value in header.get_all(name, [])]
    found = tuple(dict.fromkeys(address for _, address in getaddresses(fields) if address))
    if not found:
        words = "to whom? It has neither To: nor Cc:; --to says it for all messages"
        raise InputError(each.source, 0, words)
    return found


def _derived(
    client: str,
    mailbox: str,
    recipient: str,
    not_before: datetime | None,
    again: str,
    each: InputMessage,
) -> str:
    said = (client, mailbox, recipient, not_before.isoformat() if not_before else "", again)
    digest = hashlib.sha256("\0".join(said).encode(errors="surrogateescape") + b"\0")
    digest.update(each.content)
    return f"sha256-{digest.hexdigest()[:48]}"
