"""Writes admitted messages into the store. Decides nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from controller.intake.check import Admitted, Place
from controller.providers.table import provider_of
from controller.store import Transaction


class _Table(NamedTuple):
    """Where COPY writes; columns as (name, type)."""

    name: str
    columns: tuple[tuple[str, str], ...]


_SUBMISSION = _Table("submission", (
    ("message_id", "text"), ("client_id", "text"), ("idempotency_key", "text"),
    ("fingerprint", "bytea"), ("recipient", "text"),
))  # fmt: skip
_MESSAGE = _Table("message", (
    ("id", "text"), ("client_id", "text"), ("mailbox", "text"), ("recipient", "text"),
    ("not_before", "timestamptz"), ("wanted_at", "timestamptz"), ("size", "int4"),
    ("provider", "text"), ("receiver", "text"), ("lane", "int4"), ("reason", "text"),
    ("awaited", "bool"),
))  # fmt: skip
_CONTENT = _Table("message_content", (
    ("message_id", "text"), ("added", "bytea"), ("content", "bytea"),
))  # fmt: skip
_WARM_UP = _Table("warm_up_mail", (
    ("message_id", "text"), ("thread", "text"), ("position", "int4"), ("done", "bool"),
))  # fmt: skip


async def write(
    tx: Transaction, admitted: Sequence[Admitted], receivers: Mapping[str, str]
) -> None:
    """Stores them; `receivers`: of the recipients' domains, as far as known.

    Raises DuplicateRow where another transaction took one of the keys meanwhile.
    """
    # In the order of the unique index: two batches that share keys wait for one another in turn,
    # not crosswise.
    ordered = sorted(admitted, key=lambda a: a.read.key)
    await _copy(tx, _SUBMISSION, (
        (a.message_id, *a.read.key, a.read.fingerprint, a.read.recipient) for a in ordered
    ))  # fmt: skip
    await _copy(tx, _MESSAGE, (
        (
            a.message_id, a.read.submission.client_id, a.mailbox, a.read.recipient,
            a.not_before, a.read.submission.not_before,
            len(a.added) + len(a.read.submission.content),
            *_whose(a.read.recipient, receivers), *_place(a.read.submission.place),
        )
        for a in ordered
    ))  # fmt: skip
    await _copy(tx, _CONTENT, (
        (a.message_id, a.added, a.read.submission.content) for a in ordered
    ))  # fmt: skip
    places = [(a.message_id, a.read.submission.warm_up) for a in ordered]
    if threaded := [(id, place) for id, place in places if place is not None]:
        await _copy(tx, _WARM_UP, (
            (id, place.thread, place.position, place.last) for id, place in threaded
        ))  # fmt: skip


async def _copy(tx: Transaction, table: _Table, rows: Iterable[Sequence[Any]]) -> None:
    names, types = zip(*table.columns, strict=True)
    await tx.copy_in(table.name, names, rows, types)


def _place(place: Place) -> tuple[int, str, bool]:
    return place.lane, place.words, place.awaited


def _whose(recipient: str, receivers: Mapping[str, str]) -> tuple[str | None, str | None]:
    """Provider and receiver; None where nobody has looked yet: controller.providers will."""
    receiver = receivers.get(recipient.rpartition("@")[2].lower())
    return (None if receiver is None else provider_of(receiver)), receiver
