"""The header lines that are added where a message lacks them. Pure.

They stand before the content as submitted, which is never changed. From is not among them: the
planner adds it when it has chosen the mailbox (controller.planner.sender).
Sources: RFC 5322 section 3.6, RFC 2369, RFC 8058, and Gmail's Feedback-ID (the last of up to four
fields names the sender, 5 to 15 characters, the same in all its mail).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from email.utils import format_datetime
from functools import lru_cache

from controller.message_id import MessageId

SENDER_ID = "postfleet"


@lru_cache(maxsize=16)
def date_value(now: datetime) -> str:
    """RFC 5322 date-time of an aware `now`."""
    return format_datetime(now)


def additions(
    present: Mapping[bytes, bytes],
    message_id: MessageId,
    domain: str,
    date: str,
    unsubscribe: tuple[str, str],
    feedback: str,
) -> bytes:
    """The lines, each with CRLF, that `present` (names in lower case) lacks.

    `domain` makes Message-ID unique; `unsubscribe` is the client's https URL, to which the message
    id is appended, and mailto address; `feedback` is what stands before Feedback-ID's sender.
    """
    lines = []
    if b"message-id" not in present:
        lines.append(f"Message-ID: <{message_id}@{domain}>\r\n")
    if b"date" not in present:
        lines.append(f"Date: {date}\r\n")
    if b"list-unsubscribe" not in present:
        url, mailto = unsubscribe
        lines.append(
            f"List-Unsubscribe: <{url}{message_id}>,\r\n"
            f" <mailto:{mailto}?subject=unsubscribe%20{message_id}>\r\n"
        )
        # Promises that a POST to the URL acts (RFC 8058): only for a URL that is ours to promise.
        if b"list-unsubscribe-post" not in present:
            lines.append("List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n")
    if b"feedback-id" not in present:
        lines.append(f"Feedback-ID: {feedback}:{SENDER_ID}\r\n")
    return "".join(lines).encode("utf-8")
