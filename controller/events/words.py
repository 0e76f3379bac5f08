"""What receivers said in a batch of reports, and what follows from it, report by report.

What comes of many reports does not depend on which of them were stored together.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from postfleet.v1 import node_pb2

from controller.events import report as rows
from controller.events.fold import KINDS
from controller.events.progress import Place
from controller.events.report import Report
from controller.message_life import Event
from controller.store import Transaction
from controller.throttle import run
from controller.throttle.alone import act_alone
from controller.throttle.breaker import Breaker
from controller.throttle.follow import follow
from controller.throttle.heard import About, Heard, Listener


@dataclass(frozen=True, slots=True)
class Recorded:
    """Of one report: the events that were new, in order, and what was heard in them."""

    new: tuple[node_pb2.MessageEvent, ...]
    heard: tuple[Heard, ...]


@dataclass(frozen=True, slots=True)
class Said:
    """Of one report: all that was heard, and the words that count towards breakers."""

    heard: Sequence[Heard]
    words: Sequence[run.Word]


@dataclass(frozen=True, slots=True)
class Words:
    """Of a batch; with the breakers that they speak of, locked."""

    said: Sequence[Said] = ()
    breakers: dict[run.Pair, Breaker] = field(default_factory=dict)


async def words_of(
    tx: Transaction,
    reports: Sequence[Report],
    recorded: Sequence[Recorded],
    about: Mapping[Place, About],
    listener: Listener,
) -> Words:
    """What was said and matters. Most took a message, and that changes nothing."""
    against = [run.against(each.heard) for each in recorded]
    taken = [
        list(_taken(report, each, about, listener))
        for report, each in zip(reports, recorded, strict=True)
    ]
    concerned = await run.concerned(tx, [word for words in taken for word in words])
    concerned |= {pair for words in against for word in words for pair in word.pairs}
    if not concerned and not any(each.heard for each in recorded):
        return Words()
    await act_alone(tx)
    said = [
        Said(each.heard, bad + [word for word in good if concerned.intersection(word.pairs)])
        for each, bad, good in zip(recorded, against, taken, strict=True)
    ]
    return Words(said, await run.hold(tx, [word for each in said for word in each.words]))


async def act_on(tx: Transaction, words: Words) -> None:
    """Does what follows, after the messages were moved on."""
    for each in words.said:
        await follow(tx, each.heard)
        await run.count(tx, words.breakers, each.words)


def _taken(
    report: Report, recorded: Recorded, about: Mapping[Place, About], listener: Listener
) -> Iterator[run.Word]:
    """The messages of a report that receivers took."""
    sent = {rows.text(e.message_id): e for e in recorded.new if KINDS.get(e.kind) is Event.SENT}
    for message_id, event in sent.items():
        its = about.get((report.node_id, message_id))
        if its is not None:
            provider = listener.provider(its, rows.text(event.relay))
            yield run.Word(event.seq, rows.time_of(event), provider, its)
