"""What may be put on hold, deleted, or let go again, given what was seen. Pure.

A queue file that postfleet-apply moved from incoming or deferred to hold was in nobody's hands at
that instant and can be in nobody's since. So a message is recalled where its only file is on hold
by our own order, and the log, read to its end behind that look, tells of no delivery under way and
of no ending.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping

from node_agent.agent.lifecycle import Fact, FactKind
from node_agent.agent.queue_view import QueueView
from node_agent.agent.spool.messages import InPostfix


def files_of(view: QueueView) -> dict[str, list[str]]:
    """Message id to the queue ids of its files; more than one would be a doubled message."""
    files: dict[str, list[str]] = defaultdict(list)
    for queue_id, message_id in view.messages.items():
        files[message_id].append(queue_id)
    return dict(files)


def to_hold(
    wanted: Iterable[InPostfix], view: QueueView, guarded: Collection[str]
) -> dict[str, str]:
    """Queue id to message id of what is to be put on hold.

    What somebody else put on hold is left to them: it may have been held in mid-delivery, as what
    the guard held (`guarded`) was.
    """
    files = files_of(view)
    return {
        files[m.id][0]: m.id
        for m in wanted
        if len(files.get(m.id, [])) == 1
        and files[m.id][0] not in guarded
        and (m.held or files[m.id][0] not in view.held)
    }


def to_recall(
    queued: Iterable[InPostfix],
    asked: Mapping[str, str],
    view: QueueView,
    gap_ms: int,
    now_ms: int,
    backoff_s: tuple[int, int],
) -> list[tuple[str, Fact]]:
    """Facts for those of `asked` (queue id to message id) that the look behind the hold shows held.

    `queued`: rows read after the log was read to its end behind that look. `gap_ms`: when the log
    lost lines last; an attempt without an answer may have stood in them. `backoff_s`: (least,
    most) seconds between two attempts.
    """
    held = {message_id: q for q, message_id in asked.items() if q in view.held}
    facts = []
    for message in queued:
        queue_id = held.get(message.id)
        if queue_id is None or message.in_flight:
            continue
        if gap_ms and gap_ms >= message.queued_ms:
            reason = "Postfix's log has lost lines since it was queued: maybe sent"
            fact = Fact(FactKind.UNCERTAIN, now_ms, queue_id=queue_id, reason=reason)
        else:
            not_before_ms = retry_at_ms(message, backoff_s)
            fact = Fact(FactKind.RECALL, now_ms, queue_id, not_before_ms=not_before_ms)
        facts.append((message.id, fact))
    return facts


def retry_at_ms(message: InPostfix, backoff_s: tuple[int, int]) -> int:
    """When Postfix would try it again at the earliest, by its own rule: after as long as it has
    waited already, within the bounds (qmgr(8), minimal_backoff_time). 0: never tried, so at once.
    """
    if not message.attempted_ms:
        return 0
    least_ms, most_ms = (1000 * seconds for seconds in backoff_s)
    age_ms = message.attempted_ms - message.queued_ms if message.queued_ms else 0
    return message.attempted_ms + min(max(age_ms, least_ms), max(most_ms, least_ms))


def after_delete(
    recalling: Iterable[str], view: QueueView, guarded: Collection[str], now_ms: int
) -> list[tuple[str, Fact]]:
    """Facts for messages whose files on hold were deleted before this look.

    What is on hold still is deleted next time; what is elsewhere, or was when Postfix ended,
    somebody took off hold.
    """
    files = files_of(view)
    facts = []
    for message_id in recalling:
        queue_ids = files.get(message_id, [])
        if not queue_ids:
            facts.append((message_id, Fact(FactKind.RECALLED, now_ms)))
        elif not set(queue_ids) <= view.held.difference(guarded):
            facts.append((message_id, Fact(FactKind.RECALL_FAILED, now_ms)))
    return facts
