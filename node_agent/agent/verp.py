"""The message's token in its envelope sender: user+<message id>@domain. Pure.

Postfix's recipient_delimiter "+" makes the sender map find user@domain; queue, log and late DSNs
name the message by the token.
"""

from __future__ import annotations

import re

MESSAGE_ID = re.compile(r"[0-9a-v]{26}")
_VERP = re.compile(r"[^@+\s]+\+([0-9a-v]{26})@[^@\s]+")


def with_token(mailbox: str, message_id: str) -> str:
    """Return the envelope sender. Raises ValueError for what is no address or no message id."""
    local_part, at, domain = mailbox.rpartition("@")
    if not (local_part and at and domain) or "+" in local_part:
        raise ValueError(f"{mailbox!r} is no mailbox address without a tag")
    if not MESSAGE_ID.fullmatch(message_id):
        raise ValueError(f"{message_id!r} is no message id")
    return f"{local_part}+{message_id}@{domain}"


def token_of(address: str) -> str | None:
    """The message id in an envelope sender, or None where it carries none."""
    match = _VERP.fullmatch(address)
    return match[1] if match else None
