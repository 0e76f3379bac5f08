"""One JSON object a line as a message.

    {"recipient": "a@b.test", "content": "Subject: …\\r\\n\\r\\n…"}
    {"recipient": "a@b.test", "subject": "…", "text": "…", "html": "…"}

`content` is the whole message (`content_base64`: the same in base64, for octets that are not
UTF-8). Without it one is made of `subject`, `text` and, where given, `html`. Optional in both:
`client`, `mailbox`, `not_before` (RFC 3339 with an offset), `idempotency_key`.
"""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP
from typing import Any

from controller.cli.input_message import InputError, InputMessage, with_crlf

_FIELDS = ("recipient", "client", "mailbox", "not_before", "idempotency_key", "content",
           "content_base64", "subject", "text", "html")  # fmt: skip


def from_json(line: bytes, name: str, number: int) -> InputMessage:
    """The message of one line. Raises InputError."""
    try:
        entry = json.loads(line)
    except ValueError as error:
        raise InputError(name, number, f"not JSON: {error}") from None
    if not isinstance(entry, dict):
        raise InputError(name, number, "must be a JSON object")
    for field, value in entry.items():
        if field not in _FIELDS:
            raise InputError(
                name, number, f"{field}: unknown field; allowed here: {', '.join(_FIELDS)}"
            )
        if not isinstance(value, str):
            raise InputError(name, number, f"{field}: {value!r}: must be text")
    try:
        return InputMessage(
            source=f"{name}:{number}",
            content=_content(entry),
            recipient=entry.get("recipient", ""),
            client=entry.get("client", ""),
            mailbox=entry.get("mailbox", ""),
            not_before=_time(entry["not_before"]) if "not_before" in entry else None,
            idempotency_key=entry.get("idempotency_key", ""),
        )
    except ValueError as error:
        raise InputError(name, number, str(error)) from None


def _time(text: str) -> datetime:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        time = None
    if time is None or time.tzinfo is None:
        raise ValueError(
            f"not_before: {text!r}: must be a time with its offset, as 2026-11-01T09:00:00+01:00"
        )
    return time


def _content(entry: dict[str, str]) -> bytes:
    ways = [field for field in ("content", "content_base64", "text") if field in entry]
    if len(ways) != 1:
        raise ValueError("needs one of content, content_base64 and text (with subject)")
    if ways[0] == "content":
        return with_crlf(entry["content"].encode())
    if ways[0] == "content_base64":
        try:
            return with_crlf(base64.b64decode(entry["content_base64"], validate=True))
        except ValueError as error:
            raise ValueError(f"content_base64: {error}") from None
    return _made(entry)


def _made(entry: dict[str, Any]) -> bytes:
    """A message of subject, text and html; the same fields always make the same octets."""
    if "recipient" not in entry or "subject" not in entry:
        raise ValueError("recipient and subject are required with text")
    message = EmailMessage(policy=SMTP)
    message["To"] = entry["recipient"]
    message["Subject"] = entry["subject"]
    message.set_content(entry["text"])
    if "html" in entry:
        message.add_alternative(entry["html"], subtype="html")
        digest = hashlib.sha256(json.dumps(entry, sort_keys=True).encode()).hexdigest()
        message.set_boundary(f"=_{digest[:40]}")
    return message.as_bytes()
