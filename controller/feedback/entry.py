"""One row of feedback: what happened, to which message, when. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from controller.intake import address
from controller.message_id import MalformedMessageId, MessageId, parse
from controller.replies import classify, read_reply

_MOST_EVIDENCE = 2000
CLOCKS_APART = timedelta(minutes=10)
"""So far ahead of ours the clock of whoever tells something may be."""


class BadEntry(ValueError):
    """A row cannot be taken; the message begins with the field and says what is allowed."""


class Kind(StrEnum):
    """What came back; as the CHECK of table feedback says."""

    REPLY = "reply"
    BOUNCE = "bounce"
    UNSUBSCRIBE = "unsubscribe"
    COMPLAINT = "complaint"


@dataclass(frozen=True, slots=True)
class Entry:
    """Named by `message_id`, or (where that is None) by `recipient` and `mailbox`, in lower case.

    `at` is never later than when it was told.
    """

    kind: Kind
    message_id: MessageId | None
    recipient: str
    mailbox: str
    at: datetime
    evidence: str

    @property
    def ends_recipient(self) -> bool:
        """Whether the client must not write to this recipient again.

        Of bounces only where the receiver said for good that there is no such address: what it said
        of our reputation or of its disk ends nobody.
        """
        if self.kind is Kind.BOUNCE:
            return bool(self.evidence) and classify(read_reply(self.evidence)).ends_recipient
        return self.kind in (Kind.UNSUBSCRIBE, Kind.COMPLAINT)


def entry(
    kind: str,
    message: str,
    recipient: str,
    mailbox: str,
    at: datetime | None,
    evidence: str,
    now: datetime,
) -> Entry:
    """The row that these make. Raises BadEntry."""
    if kind not in set(Kind):
        raise BadEntry(f"kind: {kind!r}; there are {', '.join(Kind)}")
    if len(evidence) > _MOST_EVIDENCE or "\x00" in evidence:
        raise BadEntry(f"evidence: at most {_MOST_EVIDENCE:,} characters without NUL")
    if at is not None and at.tzinfo is None:
        raise BadEntry("at: a time with its offset, as 2026-11-01T09:00:00+01:00")
    if at is not None and at > now + CLOCKS_APART:
        raise BadEntry(f"at: {at.isoformat()} is in the future")
    at = now if at is None else min(at, now)
    if message.strip():
        return Entry(Kind(kind), message_named(message), "", "", at, evidence)
    if not recipient.strip() or not mailbox.strip():
        raise BadEntry("message: which one? Its id, or recipient and mailbox")
    return Entry(
        Kind(kind), None, _address("recipient", recipient), _address("mailbox", mailbox), at,
        evidence,
    )  # fmt: skip


def message_named(text: str) -> MessageId:
    """The message that an id, a Message-ID of our making or an envelope sender names.

    Raises BadEntry. Case does not matter: some hosts answer an envelope sender in another one.
    """
    name = text.strip().removeprefix("<").removesuffix(">").lower()
    local, at, _ = name.rpartition("@")
    token = local.rpartition("+")[2] if at else name
    try:
        return parse(token)
    except MalformedMessageId:
        raise BadEntry(
            f"message: {text[:100]!r} names none: an id (26 characters 0-9, a-v), <id@domain>, or "
            "mailbox+id@domain; else give recipient and mailbox"
        ) from None


def _address(field: str, text: str) -> str:
    try:
        return address.parse(text.strip()).lower()
    except address.MalformedAddress as error:
        raise BadEntry(f"{field}: {error}") from None
