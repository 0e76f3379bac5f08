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
from controller.intake.check import Admitted, Place, Read, Submission, admit, read
from controller.intake.rejection import Code, Rejection
from controller.message_id import MessageId, new_message_id
from controller.providers.table import provider_of
from controller.store import Store, Transaction
from controller.store.errors import DuplicateRow, MissingReference, TransactionConflict

CHANNEL = "accepted"
"""Notified at the commit of every batch that accepted something; the planner listens."""

_MESSAGE = (
    ("id", "text"), ("client_id", "text"), ("idempotency_key", "text"), ("fingerprint", "bytea"),
    ("mailbox", "text"), ("recipient", "text"), ("not_before", "timestamptz"),
    ("wanted_at", "timestamptz"), ("size", "int4"), ("provider", "text"), ("receiver", "text"),
    ("lane", "int4"), ("reason", "text"), ("awaited", "bool"),
)  # fmt: skip
_CONTENT = (("message_id", "text"), ("added", "bytea"), ("content", "bytea"))
_PLACE = (("message_id", "text"), ("thread", "text"), ("position", "int4"), ("done", "bool"))
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
        await _write(tx, admitted, gathered.receivers)
        for n, decision in decided.items():
            if isinstance(decision, Admitted):
                results[n] = Taken(decision.message_id, duplicate=False)
            else:
                results[n] = decision
    return results


async def _write(tx: Transaction, admitted: list[Admitted], receivers: Mapping[str, str]) -> None:
    if not admitted:
        return
    # In the order of the unique index: two batches that share keys wait for one another in turn,
    # not crosswise.
    admitted.sort(key=lambda a: a.read.key)
    await tx.copy_in(
        "message",
        [name for name, _ in _MESSAGE],
        (
            (
                a.message_id, a.read.submission.client_id, a.read.submission.idempotency_key,
                a.read.fingerprint, a.mailbox, a.read.recipient, a.not_before,
                a.read.submission.not_before,
                len(a.added) + len(a.read.submission.content),
                *_whose(a.read.recipient, receivers), *_place(a.read.submission.place),
            )
            for a in admitted
        ),
        [kind for _, kind in _MESSAGE],
    )  # fmt: skip
    await tx.copy_in(
        "message_content",
        [name for name, _ in _CONTENT],
        ((a.message_id, a.added, a.read.submission.content) for a in admitted),
        [kind for _, kind in _CONTENT],
    )
    places = [(a.message_id, a.read.submission.warm_up) for a in admitted]
    if threaded := [(id, place) for id, place in places if place is not None]:
        await tx.copy_in(
            "warm_up_mail",
            [name for name, _ in _PLACE],
            ((id, place.thread, place.position, place.last) for id, place in threaded),
            [kind for _, kind in _PLACE],
        )
    await tx.notify(CHANNEL)


def _place(place: Place) -> tuple[int, str, bool]:
    return place.lane, place.words, place.awaited


def _whose(recipient: str, receivers: Mapping[str, str]) -> tuple[str | None, str | None]:
    """Provider and receiver; None where nobody has looked yet: controller.providers will."""
    receiver = receivers.get(recipient.rpartition("@")[2].lower())
    return (None if receiver is None else provider_of(receiver)), receiver


def _key_reused(message: Read) -> Rejection:
    return Rejection(
        Code.KEY_REUSED,
        f"another message was submitted under the key {message.submission.idempotency_key!r}",
    )
