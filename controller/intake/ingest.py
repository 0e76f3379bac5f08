"""Takes a batch of messages: each is stored once, durably, before it is answered.

One transaction per batch: keys are looked up, what is new is judged and written with COPY. Two
batches with the same new key at the same time meet in the unique index; the later one waits, is
undone, and finds the key when it looks again. So a sender whose answer was lost, for whatever
reason, asks again with the same keys and gets the same ids.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from controller.intake import facts
from controller.intake.check import Admitted, Read, Submission, admit, read
from controller.intake.rejection import Code, Rejection
from controller.intake.write import write
from controller.message_id import MessageId, new_message_id
from controller.store import Store, Transaction
from controller.store.errors import DuplicateRow, MissingReference, TransactionConflict

CHANNEL = "accepted"
"""Notified at the commit of every batch that accepted something; the planner listens."""

# So many messages are read before other tasks of the event loop get their turn.
_TURN = 100
_ATTEMPTS = 10


@dataclass(frozen=True, slots=True)
class Taken:
    """The message is durable under this id. `duplicate`: it was before this batch."""

    message_id: MessageId
    duplicate: bool


Result = Taken | Rejection
Clock = Callable[[], datetime]
Also = Callable[[Transaction, Mapping[int, Result]], Awaitable[None]]


async def ingest(
    store: Store,
    batch: Sequence[Submission],
    clock: Clock | None = None,
    also: Also | None = None,
) -> list[Result]:
    """A result for each message, in order, after all that is accepted is committed.

    `clock`: aware times; None: the database's. `also` writes what belongs to them in the same
    transaction, given results by position (of those that could be read, the first of each key); it
    runs again where the transaction does.

    Raises StoreUnavailable: what became of the batch is unknown; the same batch may be submitted
    again and gives every message once.
    """
    readings = await _read(batch)
    fresh, repeated = _distinct(readings)
    results: dict[int, Result] = {
        n: reading for n, reading in enumerate(readings) if isinstance(reading, Rejection)
    }
    if fresh:
        results |= await _store(store, fresh, clock, also)
    for n, (first, message) in repeated.items():
        results[n] = _same_answer(results[first], fresh[first], message)
    return [results[n] for n in range(len(batch))]


async def _read(batch: Sequence[Submission]) -> list[Read | Rejection]:
    readings: list[Read | Rejection] = []
    for start in range(0, len(batch), _TURN):
        readings += map(read, batch[start : start + _TURN])
        await asyncio.sleep(0)
    return readings


def _distinct(
    readings: Sequence[Read | Rejection],
) -> tuple[dict[int, Read], dict[int, tuple[int, Read]]]:
    """By position: the first message of each key, and the others with their first's position."""
    firsts: dict[tuple[str, str], int] = {}
    fresh: dict[int, Read] = {}
    repeated: dict[int, tuple[int, Read]] = {}
    for n, reading in enumerate(readings):
        if isinstance(reading, Rejection):
            continue
        first = firsts.setdefault(reading.key, n)
        if first == n:
            fresh[n] = reading
        else:
            repeated[n] = (first, reading)
    return fresh, repeated


def _same_answer(answer: Result, first: Read, message: Read) -> Result:
    if message.fingerprint != first.fingerprint:
        return _key_reused(message)
    return Taken(answer.message_id, duplicate=True) if isinstance(answer, Taken) else answer


async def _store(
    store: Store, fresh: dict[int, Read], clock: Clock | None, also: Also | None
) -> dict[int, Result]:
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            async with store.transaction() as tx:
                results = await _store_in(tx, fresh, clock() if clock else await tx.now())
                if also is not None:
                    await also(tx, results)
                return results
        except (DuplicateRow, MissingReference, TransactionConflict):
            # Between our look and our COPY another batch took a key, or a client was removed;
            # now it can be seen.
            if attempt == _ATTEMPTS:
                raise
    raise AssertionError("unreachable")


async def _store_in(tx: Transaction, fresh: dict[int, Read], now: datetime) -> dict[int, Result]:
    known = await facts.known_keys(tx, (message.key for message in fresh.values()))
    results: dict[int, Result] = {}
    new: dict[int, Read] = {}
    for n, message in fresh.items():
        if message.key not in known:
            new[n] = message
            continue
        message_id, fingerprint = known[message.key]
        same = fingerprint == message.fingerprint
        results[n] = Taken(MessageId(message_id), True) if same else _key_reused(message)
    if new:
        gathered = await facts.gather(tx, list(new.values()))
        decided = {n: admit(m, gathered, new_message_id(), now) for n, m in new.items()}
        admitted = [d for d in decided.values() if isinstance(d, Admitted)]
        if admitted:
            await write(tx, admitted, gathered.receivers)
            await tx.notify(CHANNEL)
        for n, decision in decided.items():
            if isinstance(decision, Admitted):
                results[n] = Taken(decision.message_id, duplicate=False)
            else:
                results[n] = decision
    return results


def _key_reused(message: Read) -> Rejection:
    return Rejection(
        Code.KEY_REUSED,
        f"another message was submitted under the key {message.submission.idempotency_key!r}",
    )
