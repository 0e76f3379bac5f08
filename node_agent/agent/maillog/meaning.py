"""What a record says about a message: a fact for the lifecycle. Pure.

Our gateway speaks through Postfix: its greeting "421 4.3.2 postfleet: <egress> <stage>: <reason>"
stands in the reason of the deferral. It is taken for ours only where it is the greeting and names
the egress whose transport logged it, so a receiver cannot pass its own words off as ours (nor gain
by it: such a deferral is merely not counted as a receiver's).
"""

from __future__ import annotations

import re
from datetime import datetime

from node_agent.agent.lifecycle import Entry, Fact, FactKind
from node_agent.agent.maillog.line import Active, Delivery, Died, Expired, Record, Removed
from node_agent.agent.maillog.stamp import not_after, read_stamp
from node_agent.agent.verp import token_of

STAGES = frozenset(
    {
        "lease",
        "suspended",
        "proxy-connect",
        "proxy-auth",
        "proxy-request",
        "target-connect",
    }
)
# Whatever the receiver: these say that the egress itself does not work from here.
_OF_THE_PROXY = ("proxy-connect", "proxy-auth")
_GREETING = re.compile(
    r"host \S+ refused to talk to me: 421[ -]4\.3\.2 postfleet: "
    r"(?P<egress>[a-z0-9][a-z0-9-]{0,30}) (?P<stage>[a-z-]+): "
)
_SUSPENDED_DELIVERY = "delivery temporarily suspended: "
# smtp(8) after the final dot got no answer; qmgr(8) when smtp(8) itself died over a delivery.
_UNKNOWN_ENDINGS = ("message may be sent more than once", "unknown mail transport error")


def read(record: Record, line: str, now: datetime) -> Entry | None:
    """The fact in `record` (parsed from `line`), or None where it is nobody's of ours.

    `now` is local time, aware; it dates the stamp.
    """
    at_ms = int(not_after(read_stamp(record.stamp, now), now).timestamp() * 1000)
    if isinstance(record, Active):
        return _active(record, line, at_ms)
    if isinstance(record, Delivery):
        return _delivery(record, line, at_ms)
    if isinstance(record, Expired):
        return _expired(record, line, at_ms)
    if isinstance(record, Died):
        return _died(record, line, at_ms)
    return _removed(record, line, at_ms)


def _active(record: Active, line: str, at_ms: int) -> Entry | None:
    token = token_of(record.sender)
    if token is None:
        return None
    fact = Fact(FactKind.SEEN, at_ms, queue_id=record.queue_id, log_line=line)
    return Entry(token, record.queue_id, fact)


def _delivery(record: Delivery, line: str, at_ms: int) -> Entry | None:
    kind = _kind(record)
    if kind is None:
        return None
    fact = Fact(
        kind,
        at_ms,
        queue_id=record.queue_id,
        dsn=record.dsn,
        relay=record.relay,
        reason=record.reason,
        gateway_stage=gateway_stage(record.reason, record.egress_id),
        log_line=line,
    )
    return Entry(None, record.queue_id, fact)


def _kind(record: Delivery) -> FactKind | None:
    if record.status == "sent":
        return FactKind.SENT
    if record.status == "bounced":
        return FactKind.BOUNCED
    if record.status != "deferred":
        return None
    if record.reason.startswith(_SUSPENDED_DELIVERY):
        # Not attempted: qmgr(8) gave the last failure of the destination as the reason.
        return FactKind.DEFERRED
    if record.reason.endswith(_UNKNOWN_ENDINGS):
        return FactKind.UNCERTAIN
    return FactKind.DEFERRED


def gateway_stage(reason: str, egress_id: str) -> str:
    """The gateway's stage where its greeting is the reason, else ''.

    `egress_id`: of the transport that logged it; '' (retry(8) spoke for the queue manager): any.
    """
    match = _GREETING.match(reason.removeprefix(_SUSPENDED_DELIVERY))
    if match is None or match["stage"] not in STAGES:
        return ""
    return match["stage"] if egress_id in ("", match["egress"]) else ""


def stopped_before_the_proxy(fact: Fact) -> str:
    """The egress whose proxy the gateway could not use at all; '': that is not what it says."""
    if fact.gateway_stage not in _OF_THE_PROXY:
        return ""
    match = _GREETING.match(fact.reason.removeprefix(_SUSPENDED_DELIVERY))
    return match["egress"] if match else ""


def _expired(record: Expired, line: str, at_ms: int) -> Entry:
    reason = "expired by the operator" if record.forced else "too long in the queue"
    fact = Fact(
        FactKind.EXPIRED,
        at_ms,
        queue_id=record.queue_id,
        dsn="5.0.0" if record.forced else "4.4.7",
        reason=reason,
        log_line=line,
    )
    return Entry(token_of(record.sender), record.queue_id, fact)


def _died(record: Died, line: str, at_ms: int) -> Entry:
    reason = "Postfix's smtp(8) died over it: it may have been sent"
    fact = Fact(FactKind.UNCERTAIN, at_ms, reason=reason, log_line=line)
    return Entry(None, "", fact, record.egress_id)


def _removed(record: Removed, line: str, at_ms: int) -> Entry:
    reason = (
        "deleted from Postfix's queue by postsuper"
        if record.by_operator
        else "left Postfix's queue with no outcome in the log"
    )
    kind = FactKind.DELETED if record.by_operator else FactKind.UNCERTAIN
    fact = Fact(kind, at_ms, queue_id=record.queue_id, reason=reason, log_line=line)
    return Entry(None, record.queue_id, fact)
