"""Is this message taken? In two steps, both pure.

`read` needs no knowledge of the fleet: what it refuses was never accepted under any key. Then keys
are looked up (a known key is answered whatever is known today), and `admit` decides by the facts.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from controller.from_field import from_line
from controller.intake import address, content
from controller.intake.addition import additions, date_value
from controller.intake.content import Content
from controller.intake.rejection import Code, Rejected, Rejection, shown
from controller.message_id import MessageId

_CLIENT = re.compile(r"[a-z0-9][a-z0-9-]{0,30}")  # inventory.schema.Id
_KEY = re.compile(r"[\x20-\x7e]{1,200}")


_LINE_END = re.compile(r"[\r\n\0]")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a campaign's message waits: its lane, why it waits in words, and whether its campaign
    is to look at how it ended.
    """

    lane: int = 0
    words: str = ""
    awaited: bool = False


NO_CAMPAIGN = Place()


@dataclass(frozen=True, slots=True)
class ThreadPlace:
    """Where a message of warm-up mail stands: its thread, and its place there from 0.

    `last`: nothing follows on it.
    """

    thread: str
    position: int
    last: bool


@dataclass(frozen=True, slots=True)
class Submission:
    """A message as it was submitted. `not_before` is aware, or None: at once.

    `warm_up`: the controller's own warm-up mail; None, as from everybody else, for all other mail.
    """

    idempotency_key: str
    client_id: str
    mailbox: str
    recipient: str
    not_before: datetime | None
    content: bytes
    place: Place = NO_CAMPAIGN
    warm_up: ThreadPlace | None = None


@dataclass(frozen=True, slots=True)
class Read:
    """A well-formed submission. `fingerprint` is SHA-256 over what a client submits but client and
    key.
    """

    submission: Submission
    fingerprint: bytes
    recipient: str
    content: Content

    @property
    def key(self) -> tuple[str, str]:
        """Under which it is known: client and idempotency key."""
        return self.submission.client_id, self.submission.idempotency_key

    def suppressible(self) -> tuple[str, str]:
        """How the recipient may stand in table suppression: as an address or as its domain."""
        folded = self.recipient.lower()
        return folded, f"@{address.domain_of(folded)}"


@dataclass(frozen=True, slots=True)
class Client:
    """`domain` is any of its sending domains; '' where it has no mailbox and so cannot send."""

    id: str
    unsubscribe_url: str
    unsubscribe_mailto: str
    domain: str


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of the fleet. `mailboxes`: address -> (client id, display name).

    `suppressed`: (client id or '', address or @domain) -> reason. `receivers`: recipient's domain
    -> who takes its mail, of those that were looked up.
    """

    fleet: str
    size_limit_octets: int
    clients: Mapping[str, Client]
    mailboxes: Mapping[str, tuple[str, str]]
    suppressed: Mapping[tuple[str, str], str]
    receivers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Admitted:
    """A message that is to be stored. `mailbox` None: the planner chooses and adds From."""

    read: Read
    message_id: MessageId
    mailbox: str | None
    not_before: datetime
    added: bytes


def read(submission: Submission) -> Read | Rejection:
    """Everything about the message itself."""
    try:
        if not _CLIENT.fullmatch(submission.client_id):
            raise _unknown_client(submission.client_id)
        if not _KEY.fullmatch(submission.idempotency_key):
            raise Rejected(
                Code.BAD_KEY,
                f"{shown(submission.idempotency_key)!r} is not 1 to 200 printable ASCII characters",
            )
        recipient = _recipient(submission.recipient)
        _check_mailbox(submission.mailbox)
        parsed = content.parse(submission.content)
    except Rejected as rejected:
        return rejected.rejection
    return Read(submission, fingerprint(submission), recipient, parsed)


def admit(
    message: Read, facts: Facts, message_id: MessageId, now: datetime
) -> Admitted | Rejection:
    """Whether the fleet sends it for this client, and as what it is stored."""
    try:
        client = _client(message, facts)
        _check_size(message, facts)
        mailbox = _mailbox(message, client, facts)
        _check_suppression(message, facts)
    except Rejected as rejected:
        return rejected.rejection
    added = additions(
        message.content.header.values,
        message_id,
        address.domain_of(mailbox) if mailbox else client.domain,
        date_value(now),
        (client.unsubscribe_url, client.unsubscribe_mailto),
        f"{client.id}:{facts.fleet}",
    )
    if mailbox and message.content.from_address is None:
        added = from_line(facts.mailboxes[mailbox][1], mailbox) + added
    not_before = message.submission.not_before or now
    return Admitted(message, message_id, mailbox, not_before, added)


def fingerprint(submission: Submission) -> bytes:
    """SHA-256 over the parts, each after its length: no two submissions share the octets."""
    time = "" if submission.not_before is None else submission.not_before.isoformat()
    parts = [
        part.encode("utf-8", "surrogatepass")
        for part in (submission.mailbox, submission.recipient, time)
    ]
    digest = hashlib.sha256(b"".join(len(part).to_bytes(8, "big") + part for part in parts))
    digest.update(submission.content)
    return digest.digest()


def _recipient(text: str) -> str:
    try:
        return address.parse(text)
    except address.MalformedAddress as error:
        code = Code.HEADER_INJECTION if _LINE_END.search(text) else Code.MALFORMED_RECIPIENT
        raise Rejected(code, f"the recipient {error}") from None


def _check_mailbox(text: str) -> None:
    if text and _LINE_END.search(text):
        raise Rejected(Code.HEADER_INJECTION, f"a line end in the mailbox {shown(text)!r}")


def _client(message: Read, facts: Facts) -> Client:
    client_id = message.submission.client_id
    client = facts.clients.get(client_id)
    if client is None:
        raise _unknown_client(client_id)
    return client


def _unknown_client(client_id: str) -> Rejected:
    return Rejected(Code.UNKNOWN_CLIENT, f"{shown(client_id)!r} is no client of this fleet")


def _check_size(message: Read, facts: Facts) -> None:
    octets = len(message.submission.content)
    if octets > facts.size_limit_octets:
        raise Rejected(
            Code.TOO_LARGE, f"{octets:,} octets, {facts.size_limit_octets:,} are allowed"
        )


def _mailbox(message: Read, client: Client, facts: Facts) -> str | None:
    named, parsed = message.submission.mailbox, message.content
    where, wanted = ("mailbox", named) if named else ("From", parsed.from_address)
    if wanted is None:
        if not client.domain:
            raise Rejected(Code.UNKNOWN_MAILBOX, f"client {client.id} has no mailbox to send from")
        if parsed.sender_address is not None:
            raise Rejected(Code.SENDER_MISMATCH, "a Sender field without From; leave both out")
        return None
    mailbox = wanted.lower()
    if facts.mailboxes.get(mailbox, ("", ""))[0] != client.id:
        raise Rejected(
            Code.UNKNOWN_MAILBOX, f"{where}: {shown(wanted)!r} is no mailbox of client {client.id}"
        )
    domain = address.domain_of(mailbox)
    for field, found in (("From", parsed.from_address), ("Sender", parsed.sender_address)):
        if found is not None and address.domain_of(found) != domain:
            raise Rejected(
                Code.SENDER_MISMATCH,
                f"{field} is {found}, but the message is sent as {mailbox}: "
                f"{field} must be in {domain}, or DMARC fails",
            )
    return mailbox


def _check_suppression(message: Read, facts: Facts) -> None:
    if not facts.suppressed:
        return
    for scope in ("", message.submission.client_id):
        for recipient in message.suppressible():
            reason = facts.suppressed.get((scope, recipient))
            if reason is not None:
                whose = f"client {scope}" if scope else "the whole fleet"
                raise Rejected(Code.SUPPRESSED, f"{recipient} is suppressed for {whose}: {reason}")
