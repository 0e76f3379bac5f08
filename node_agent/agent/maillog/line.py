"""One line of Postfix's log → a record, or None where it says nothing we need. Pure.

Lines of maillog_file (postlogd(8), "Nov 21 22:34:14 host postfix/qmgr[7]: …") and of a syslog with
RFC 3339 stamps. Text after "status=" is partly the receiver's: nothing in it is taken for a field.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_HEAD = re.compile(
    r"(?P<stamp>[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d|\d{4}-\d\d-\d\dT\S+) \S+ "
    r"(?P<tag>[^\s\[\]]+)(?:\[\d+\])?: (?P<text>.*)",
    re.DOTALL,
)
# Long queue ids have no vowels (postconf(5) enable_long_queue_ids); short ones are hexadecimal.
_QUEUE_ID = re.compile(
    r"([0-9BCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz]{10,}|[0-9A-F]{6,}): (.*)", re.DOTALL
)
_ADDRESS = r'<(?P<{name}>(?:"(?:[^"\\]|\\.)*"|[^<>"])*)>'
_DELIVERY = re.compile(
    "to=" + _ADDRESS.format(name="to") + r", (?:orig_to=<[^>]*>, )?relay=(?P<relay>[^\s,]+), "
    r"(?:conn_use=\d+, )?delay=[^\s,]+, delays=[^\s,]+, dsn=(?P<dsn>\d\.\d+\.\d+), "
    r"status=(?P<status>[a-z-]+) ?(?P<reason>.*)",
    re.DOTALL,
)
_ACTIVE = re.compile(
    "from=" + _ADDRESS.format(name="sender") + r", size=\d+, nrcpt=\d+ \(queue active\)"
)
_EXPIRED = re.compile(
    "from="
    + _ADDRESS.format(name="sender")
    + r", status=(?P<status>(?:force-)?expired), returned to sender"
)
_DIED = re.compile(
    r"warning: (?:premature end-of-input on )?private/egress-([a-z0-9][a-z0-9-]{0,30}) socket"
    r"(?:: malformed response| while )"
)
_EGRESS = re.compile(r"/egress-([a-z0-9][a-z0-9-]{0,30})(?:/|$)")


@dataclass(frozen=True, slots=True)
class Active:
    """qmgr(8) took a queue file up; the sender carries the message's token."""

    stamp: str
    queue_id: str
    sender: str


@dataclass(frozen=True, slots=True)
class Delivery:
    """How an attempt for one recipient ended. `egress_id`: '' where no egress transport spoke."""

    stamp: str
    queue_id: str
    egress_id: str
    recipient: str
    relay: str
    dsn: str
    status: str
    reason: str


@dataclass(frozen=True, slots=True)
class Expired:
    """The queue file outlived maximal_queue_lifetime, or an operator expired it."""

    stamp: str
    queue_id: str
    sender: str
    forced: bool


@dataclass(frozen=True, slots=True)
class Removed:
    """The queue file is gone; `by_operator`: postsuper(1) deleted it."""

    stamp: str
    queue_id: str
    by_operator: bool


@dataclass(frozen=True, slots=True)
class Died:
    """The smtp(8) of an egress ended over a delivery without a word; Postfix will try again.

    Which delivery it was is not said: any that is under way for this egress.
    """

    stamp: str
    egress_id: str


Record = Active | Delivery | Expired | Removed | Died


def parse(line: str) -> Record | None:
    """Read one line without its end."""
    head = _HEAD.match(line)
    if head is None:
        return None
    tag, stamp = head["tag"], head["stamp"]
    body = _QUEUE_ID.match(head["text"])
    if body is None:
        died = _DIED.match(head["text"]) if tag.endswith("/qmgr") else None
        return Died(stamp, died[1]) if died else None
    queue_id, rest = body[1], body[2]
    if rest.startswith("to=<"):
        return _delivery(stamp, queue_id, tag, rest)
    if rest.startswith("from=<"):
        return _from_qmgr(stamp, queue_id, rest) if tag.endswith("qmgr") else None
    if rest == "removed" and tag.endswith(("/qmgr", "/postsuper")):
        return Removed(stamp, queue_id, tag.endswith("/postsuper"))
    return None


def _delivery(stamp: str, queue_id: str, tag: str, rest: str) -> Delivery | None:
    match = _DELIVERY.match(rest)
    if match is None:
        return None
    egress = _EGRESS.search(tag)
    return Delivery(
        stamp=stamp,
        queue_id=queue_id,
        egress_id=egress[1] if egress else "",
        recipient=match["to"],
        relay=match["relay"],
        dsn=match["dsn"],
        status=match["status"],
        reason=match["reason"].removeprefix("(").removesuffix(")"),
    )


def _from_qmgr(stamp: str, queue_id: str, rest: str) -> Active | Expired | None:
    active = _ACTIVE.match(rest)
    if active is not None:
        return Active(stamp, queue_id, active["sender"])
    expired = _EXPIRED.match(rest)
    if expired is not None:
        forced = expired["status"] != "expired"
        return Expired(stamp, queue_id, expired["sender"], forced)
    return None
