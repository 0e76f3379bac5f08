"""What a campaign file may say, and nothing else.

Every field is checked here; what only the whole can show is in `controller.campaigns.rules`. The
docstring below a field says what it means (docs/campaigns.md shows a whole file).
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from inventory.fields import Allowed, Count, HostName, Id, Strict
from inventory.pacing import TimeZone, Window

MOST_FOLLOW_UPS = 10
Column = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,62}$"),
    Allowed("the name of a column: letters, digits and _, not beginning with a digit"),
]
FileName = Annotated[
    str,
    StringConstraints(pattern=r"^[^\x00-\x1f\x7f]{1,1000}$"),
    Allowed("the name of a file, relative to the campaign file"),
]
Template = Annotated[
    str,
    StringConstraints(min_length=1, max_length=200_000),
    Allowed("a Jinja2 template of 1 to 200,000 characters"),
]
MailboxAddress = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z0-9_.-]{1,64}@[a-z0-9.-]{1,253}$"),
    Allowed("the address of a mailbox of the inventory, in lower case"),
]


class Recipients(Strict):
    """Who gets it: a file with one recipient a line."""

    file: FileName
    """CSV whose first line names the columns, or JSONL (an object a line) where it ends so."""
    address: Column = "email"
    """The column that holds the address."""
    time_zone: Column | None = None
    """The column that holds the recipient's time zone; an empty one is the campaign's."""


class Pool(Strict):
    """Which of the client's mailboxes send it: those on these domains, and these themselves."""

    domains: tuple[HostName, ...] = ()
    """Domains of the client."""
    mailboxes: tuple[MailboxAddress, ...] = ()
    """Mailboxes of the client."""


class Letter(Strict):
    """What is written. Of each part the template itself or the name of its file."""

    text: Template | None = None
    """The plain text."""
    text_file: FileName | None = None
    """The file that holds it."""
    html: Template | None = None
    """The same as HTML; none: plain text alone."""
    html_file: FileName | None = None
    """The file that holds it."""


class FollowUp(Letter):
    """A further message to those of whom nothing was heard."""

    id: Id
    """Names it within the campaign."""
    after: Id | None = None
    """The follow-up that it follows, or `first`; none: the one before it in the list."""
    after_days: Annotated[Count, Field(ge=1, le=365)]
    """So many days after that one was sent."""
    subject: Template | None = None
    """none: `Re: ` and the subject of the first message."""


class Campaign(Letter):
    """One campaign."""

    version: Literal[1]
    """The version of this form: 1."""
    campaign: Id
    """Names the campaign in the whole fleet."""
    client: Id
    """Whose mail it is."""
    subject: Template
    """A template that gives one line."""
    recipients: Recipients
    """Who gets it."""
    windows: tuple[Window, ...] = ()
    """When it may be sent, besides the windows of the mailboxes; none: whenever those are open."""
    time_zone: TimeZone | None = None
    """By whose clock its windows open, where a recipient has no time zone of their own."""
    priority: Annotated[Count, Field(ge=0, le=100)] = 0
    """Its share among the client's campaigns is as large as this and one."""
    burst_per_hour: (
        Annotated[Count, Field(ge=1, le=1_000_000), Allowed("a whole number from 1 to 1,000,000")]
        | None
    ) = None
    """The most messages of it in an hour of UTC; none: what the mailboxes may send."""
    pool: Pool | None = None
    """Which mailboxes send it; none: all of the client's."""
    follow_ups: Annotated[
        tuple[FollowUp, ...],
        Field(max_length=MOST_FOLLOW_UPS),
        Allowed(f"a list of at most {MOST_FOLLOW_UPS} follow-ups"),
    ] = ()
    """Further messages, until a recipient replies, bounces, unsubscribes or complains."""
    on_uncertain: Literal["stop", "resend"] = "stop"
    """What becomes of a message of which nobody can know whether it was sent."""
