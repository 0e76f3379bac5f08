"""What the two sides of the comparison are made of: the controller's account and the receivers'."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lab.proxies_log import Connection
from lab.receivers.records import Record
from lab.verify.verdict import Verdict


@dataclass(frozen=True)
class Submitted:
    """A message that the controller accepted, as it was handed in."""

    message_id: str
    client: str
    # as asked for; '' when the choice was left to the controller
    mailbox: str
    recipient: str
    content: bytes


@dataclass(frozen=True)
class Account:
    """What the controller says of it. `reason`: the last words; `attempts`: tries of Postfix."""

    message_id: str
    state: str
    mailbox: str
    egress: str
    node: str
    recipient: str
    reason: str
    attempts: int


@dataclass(frozen=True)
class Exit:
    """What receivers must see of an egress (inventory)."""

    public_ip: str
    helo_name: str


@dataclass(frozen=True)
class Sighting:
    """What a receiver kept: its record, the octets, and the judgement on them."""

    record: Record
    content: bytes
    verdict: Verdict


@dataclass(frozen=True)
class Evidence:
    """Everything that is compared. Mappings are by message id, mailbox, egress id.

    `refusals` are the receivers' records of kind deferred, refused and dropped; `connections` is
    the proxies' own log.
    """

    submitted: Mapping[str, Submitted]
    accounts: Mapping[str, Account]
    mailbox_egress: Mapping[str, str]
    exits: Mapping[str, Exit]
    sightings: tuple[Sighting, ...]
    refusals: tuple[Record, ...]
    connections: tuple[Connection, ...]


@dataclass(frozen=True, order=True)
class Difference:
    """One thing that is not as it must be. `what` is one of the codes in `compare.CODES`."""

    what: str
    message_id: str
    detail: str
