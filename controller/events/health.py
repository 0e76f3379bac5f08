"""What new events count for in the health of their senders. Pure but for the tally it fills."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from postfleet.v1 import node_pb2

from controller.events import report as rows
from controller.events.fold import KINDS
from controller.events.progress import Place
from controller.events.report import Report
from controller.health import counts
from controller.health.tally import Tally, Whose
from controller.message_life import Event
from controller.replies import Scope
from controller.throttle.heard import About, Heard, Listener


def tally_events(
    tally: Tally,
    report: Report,
    new: Sequence[node_pb2.MessageEvent],
    heard: Sequence[Heard],
    about: Mapping[Place, About],
    listener: Listener,
) -> None:
    """Counts a report's new events; `heard`: with the attempts before the report."""
    by_seq = {each.refusal.seq: each for each in heard}
    put_off: set[str] = set()
    for event in new:
        message_id = rows.text(event.message_id)
        its = about.get((report.node_id, message_id))
        if its is None:
            continue
        one = by_seq.get(event.seq)
        kind = _kind(event, one, message_id in put_off)
        if one is not None:
            put_off.add(message_id)
        if its.warm_up and kind == counts.SENT:
            # Nobody complains about mail that we wrote to ourselves: it would dilute rates.
            continue
        if kind:
            provider = listener.table.label(listener.provider(its, rows.text(event.relay)))
            tally.add(Whose(its.mailbox, its.egress_id, provider), kind)


def _kind(event: node_pb2.MessageEvent, heard: Heard | None, again: bool) -> str:
    """'': it counts for nothing."""
    match KINDS.get(event.kind):
        case Event.SENT:
            return counts.SENT
        case Event.EXPIRED:
            return counts.EXPIRED
        case Event.BOUNCED if heard is not None:
            return counts.bounced(_scope(heard))
        case Event.DEFERRED if heard is not None and heard.by_receiver:
            first = not again and heard.about is not None and heard.about.attempts == 0
            return counts.deferred(_scope(heard)) if first else ""
        case _:
            return ""


def _scope(heard: Heard) -> Scope:
    """Where no receiver spoke, nobody said anything about us or the address; where a rule says that
    it means nothing (greylisting), the receiver wants time.
    """
    if not heard.by_receiver:
        return Scope.NETWORK
    if heard.rule is not None and heard.rule.action == "nothing" and not heard.refusal.final:
        return Scope.CAPACITY
    return heard.meaning.scope
