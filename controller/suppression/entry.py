"""One suppression: whom it names, for which client, why. Pure.

Whom: an address as intake takes one (RFC 5321 section 4.1.2), or `@domain` for everybody there. It
is kept in lower case, local part included: hosts may tell cases apart (section 2.4), but nobody who
asked not to be written to means only one spelling.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from controller.intake import address

DEFAULT_REASON = "request"
_MOST_REASON = 200
_MOST_EVIDENCE = 2000


class BadEntry(ValueError):
    """A suppression cannot be taken; the message says what is wrong and what is allowed."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A row of the table. `client_id` '' is every client; `since` None: from now on."""

    client_id: str
    recipient: str
    reason: str
    evidence: str
    since: datetime | None


def recipient_named(text: str) -> str:
    """How an address or @domain stands in the table. Raises BadEntry."""
    text = text.strip()
    try:
        if text.startswith("@"):
            # A local part that is certainly good, so that only the domain is judged.
            return "@" + address.domain_of(address.parse(f"x{text}")).lower()
        return address.parse(text).lower()
    except address.MalformedAddress as error:
        raise BadEntry(f"neither an address nor @domain: {error}") from None


def entry(
    client_id: str, recipient: str, reason: str, evidence: str, since: datetime | None
) -> Entry:
    """The row that these make. Raises BadEntry."""
    reason = reason.strip() or DEFAULT_REASON
    if len(reason) > _MOST_REASON or not reason.isprintable():
        raise BadEntry(f"reason: one line of at most {_MOST_REASON} characters")
    if len(evidence) > _MOST_EVIDENCE or "\x00" in evidence:
        raise BadEntry(f"evidence: at most {_MOST_EVIDENCE:,} characters without NUL")
    if since is not None and since.tzinfo is None:
        raise BadEntry("since: a time with its offset, as 2026-11-01T09:00:00+01:00")
    return Entry(client_id, recipient_named(recipient), reason, evidence, since)
