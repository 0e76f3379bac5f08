"""Writes the warm-up mail that is due: through intake, where a key lets nothing be stored twice.

A cycle reads who writes and what arrived, decides, and submits; with a reply it notes, in the same
transaction, that what it answers is answered. It may end anywhere: the next one comes to the same
messages with the same keys, and intake answers for those that are stored already.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime

from controller.intake.check import Place, Submission, ThreadPlace
from controller.intake.ingest import Clock, Result, Taken, ingest
from controller.intake.rejection import Code
from controller.message_life import State
from controller.planner.lanes import WARM_UP
from controller.planner.settings import settings_of
from controller.store import Row, Store, Transaction, queries
from controller.warm_up import metrics
from controller.warm_up.correspondents import SQL, desks
from controller.warm_up.due import LATE, Ended, Planned, Rooms, due_starts, first_messages, replies
from controller.warm_up.letter import Earlier, Person, letter
from controller.warm_up.threads import JITTER, SHORTEST, Correspondent, length

_SETTINGS = queries.load("intake")["fleet"]
_BATCH = 500


@dataclass(frozen=True, slots=True)
class _Due:
    """What a cycle found: messages to write, each with the thread before it; messages on which
    nothing will follow; the threads that were to begin on this day so far.
    """

    planned: Sequence[Planned]
    earlier: Mapping[str, Sequence[Earlier]]
    closed: Sequence[str]
    began_today: Set[str]


class WarmUpMail:
    """One leader's writer. It remembers only what intake refused, so as not to ask every minute.

    `clock`: aware times; None: the database's.
    """

    def __init__(self, store: Store, clock: Clock | None = None) -> None:
        self._store = store
        self._clock = clock
        self._refused: set[str] = set()

    async def run_cycle(self) -> str:
        """Writes what is due; gives a sentence on it."""
        stale, due = await self._store.run(self._look)
        metrics.STALE.inc(stale)
        self._refused &= due.began_today
        if due.closed:
            await self._store.run(lambda tx: tx.execute(SQL["close"], ids=list(due.closed)))
        written = 0
        for begin in range(0, len(due.planned), _BATCH):
            written += await self._write(due.planned[begin : begin + _BATCH], due.earlier)
        if not written and not stale:
            return "no warm-up mail is due"
        return f"wrote {written} messages of warm-up mail, dropped {stale} that found no slot"

    async def _look(self, tx: Transaction) -> tuple[int, _Due]:
        now = self._clock() if self._clock else await tx.now()
        stale = await tx.execute(SQL["drop_stale"], now=now, before=now - LATE)
        return stale, await _due(tx, now, self._refused)

    async def _write(
        self, batch: Sequence[Planned], earlier: Mapping[str, Sequence[Earlier]]
    ) -> int:
        """How many were stored that were not before."""
        submitted = [submission(each, earlier.get(each.thread, ())) for each in batch]
        answered = [each.answers.message_id for each in batch if each.answers is not None]

        async def close(tx: Transaction, _: Mapping[int, Result]) -> None:
            await tx.execute(SQL["close"], ids=answered)

        results = await ingest(self._store, submitted, self._clock, close)
        stored = 0
        for each, result in zip(batch, results, strict=True):
            if isinstance(result, Taken):
                if not result.duplicate:
                    stored += 1
                    metrics.WRITTEN.labels("reply" if each.answers else "start").inc()
            elif result.code is not Code.KEY_REUSED:
                # A key reused is a message stored already, before somebody's name changed, say.
                metrics.REFUSED.inc()
                self._refused.add(each.thread)
        return stored


def submission(planned: Planned, earlier: Sequence[Earlier]) -> Submission:
    """As intake takes it. Pure. The key follows from the thread and the place in it."""
    writer, recipient = planned.writer, planned.recipient
    position = planned.position
    return Submission(
        idempotency_key=f"warm-up/{planned.thread}/{position}",
        client_id=writer.client_id,
        mailbox=writer.address,
        recipient=recipient.address,
        not_before=planned.at,
        content=letter(planned.thread, earlier, _person(writer), _person(recipient)),
        place=Place(WARM_UP),
        warm_up=ThreadPlace(planned.thread, position, position + 1 >= length(planned.thread)),
    )


async def _due(tx: Transaction, now: datetime, refused: set[str]) -> _Due:
    client_ids = [row["client_id"] for row in await tx.fetch_all(SQL["clients"])]
    if not client_ids:
        return _Due((), {}, (), frozenset())
    row = await tx.fetch_optional(_SETTINGS)
    settings = settings_of(row["value"] if row else None)
    across = settings.warm_up.across_clients
    mailboxes = await desks(tx, client_ids, settings, now)
    rooms = Rooms(mailboxes)
    # No reply comes sooner.
    before = now - (SHORTEST - 2 * JITTER)
    ended = [_ended(row) for row in await tx.fetch_all(SQL["ended"], before=before)]
    answers, closed = replies(ended, mailboxes, rooms, now, across_clients=across)
    starts = due_starts(mailboxes.values(), now)
    known = {
        row["thread"]
        for row in await tx.fetch_all(SQL["known_threads"], threads=[each[0] for each in starts])
    }
    begun = first_messages(starts, known | refused, mailboxes, rooms, across_clients=across)
    threads = [each.thread for each in answers]
    rows = await tx.fetch_all(SQL["earlier"], threads=threads) if threads else []
    earlier = _earlier(rows, {each.thread: each for each in answers})
    return _Due([*answers, *begun], earlier, closed, {each[0] for each in starts})


def _ended(row: Row) -> Ended:
    return Ended(
        row["message_id"],
        row["thread"],
        row["position"],
        row["state"] == State.SENT,
        row["final_at"],
        row["writer"],
        row["recipient"].lower(),
    )


def _earlier(rows: Sequence[Row], answers: Mapping[str, Planned]) -> dict[str, list[Earlier]]:
    """By thread: what stands before each answer. Message-IDs are as intake made them."""
    found: dict[str, list[Earlier]] = defaultdict(list)
    for row in rows:
        answer = answers[row["thread"]]
        if row["position"] >= answer.position:
            # Stored before a restart, and not noted as the answer yet.
            continue
        domain = row["mailbox"].rpartition("@")[2]
        found[row["thread"]].append(
            Earlier(
                f"<{row['id']}@{domain}>",
                Person(row["mailbox"], row["display_name"]),
                row["final_at"].astimezone(answer.writer.week.zone),
            )
        )
    return found


def _person(who: Correspondent) -> Person:
    return Person(who.address, who.display_name)
