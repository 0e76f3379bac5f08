"""From Postfix's replies at the hand-over to facts and retries. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from node_agent.agent.handover.intake import Ending, Result
from node_agent.agent.lifecycle import Fact, FactKind


@dataclass(frozen=True, slots=True)
class Judgement:
    """What follows from the results of one batch."""

    # to be written down at once
    facts: list[tuple[str, Fact]]
    # put back after Postfix's temporary refusal: to wait before the next try
    deferred: list[str]
    # put back without having been tried: next in turn
    not_sent: list[str]
    # only evidence can tell
    unknown: list[str]


def judge(results: Iterable[Result], now_ms: int) -> Judgement:
    """Sort the results of one batch."""
    judgement = Judgement([], [], [], [])
    for result in results:
        message_id, reply = result.message_id, result.reply
        if result.ending is Ending.UNKNOWN:
            judgement.unknown.append(message_id)
            continue
        if result.ending is Ending.QUEUED:
            fact = Fact(
                FactKind.ACCEPTED,
                now_ms,
                queue_id=reply.queue_id,
                dsn=reply.enhanced,
                reason=str(reply),
            )
        elif result.ending is Ending.REFUSED:
            words = str(reply) if reply.code else reply.text
            fact = Fact(FactKind.TURNED_DOWN, now_ms, dsn=reply.enhanced or "5.0.0", reason=words)
        else:
            fact = Fact(FactKind.PUT_BACK, now_ms, reason=reply.text)
            kept = judgement.deferred if result.ending is Ending.DEFERRED else judgement.not_sent
            kept.append(message_id)
        judgement.facts.append((message_id, fact))
    return judgement
