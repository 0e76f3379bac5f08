"""Turns any message into one that this fleet may send to this lab's receivers. Pure.

Only what must change does: the address in From: becomes the mailbox that sends, To: the recipient
of this copy, Cc: and Bcc: go, and so does a Message-ID where a message is used more than once. All
other octets stay, so the comparison still says something about them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from lab.demo.octets import fields, split

# Set on the last hop or not to be shown; the controller refuses them.
_DROPPED = {b"cc", b"bcc", b"return-path", b"resent-bcc", b"sender"}
_ADDRESS = re.compile(rb"<[^<>]*>|[^\s<>,;:\"()]+@[^\s<>,;:\"()]+")


@dataclass(frozen=True)
class Letter:
    """One message to submit. `name` says which input it came from.

    `mailbox` is who must send it, '' where the controller may choose; `named`: it is said in the
    submission, else the address in From: says it.
    """

    name: str
    client: str
    mailbox: str
    named: bool
    recipient: str
    content: bytes


@dataclass(frozen=True)
class Sender:
    """A mailbox with its client."""

    mailbox: str
    client: str


def readdress(content: bytes, mailbox: str, recipient: str, *, once: bool) -> bytes:
    """The message with sender and recipient of this lab. Line ends must be CRLF.

    Without a mailbox From: goes, and the controller chooses and names one.
    """
    head, body = split(content)
    kept = []
    for field in fields(head):
        name = field.partition(b":")[0].strip().lower()
        if name in _DROPPED or (name == b"message-id" and not once):
            continue
        if name == b"from" and not mailbox:
            continue
        if name == b"from":
            field = _with_address(field, mailbox)
        elif name == b"to":
            field = _with_address(field, recipient)
        kept.append(field)
    return b"".join(kept) + b"\r\n" + body


def _with_address(field: bytes, address: str) -> bytes:
    """The field with its one address replaced; a list or group becomes the bare address."""
    found = _ADDRESS.findall(field)
    replacement = f"<{address}>".encode()
    if len(found) != 1:
        return field.partition(b":")[0] + b": " + replacement + b"\r\n"
    return _ADDRESS.sub(lambda _: replacement, field)


def letters(
    samples: Sequence[tuple[str, bytes]],
    senders: Sequence[Sender],
    recipients: Sequence[str],
) -> list[Letter]:
    """One letter per recipient: samples and senders in turn, so that every mailbox sends.

    Where a mailbox would come a second time, every other letter leaves the choice to the
    controller. `samples` are (name, content) with CRLF line ends; no sequence may be empty.
    """
    once = len(recipients) <= len(samples)
    made = []
    for number, recipient in enumerate(recipients):
        name, content = samples[number % len(samples)]
        sender = senders[number % len(senders)]
        mailbox = "" if number >= len(senders) and number % 2 else sender.mailbox
        adapted = readdress(content, mailbox, recipient, once=once)
        has_from = any(f[:5].lower() == b"from:" for f in fields(split(adapted)[0]))
        named = bool(mailbox) and not (has_from and number % 3 == 0)
        made.append(Letter(name, sender.client, mailbox, named, recipient, adapted))
    return made
