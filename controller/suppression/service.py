"""SuppressionService: the gRPC edge of suppressions.

Operators see and change all of them; a client's tool those of its client. Errors become statuses
in `controller.fleet.status`; a bad row of a long list is an answer, not an error.
"""

# ruff: noqa: N802 (names are gRPC's)

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, cast

from grpc import aio
from postfleet.v1 import suppression_pb2, suppression_pb2_grpc

from controller.fleet.answering import answering
from controller.fleet.errors import BadRequestError, NotAllowedError
from controller.fleet.ordering import reason_given, run_order
from controller.fleet.pages import clean, page_size
from controller.keys.identity import Identity, Kind, Peer, peer_identity
from controller.store import Row, Store, Transaction
from controller.suppression.change import SQL, add, remove
from controller.suppression.entry import BadEntry, Entry, entry, recipient_named

MOST_ROWS = 10_000
# In a list: whatever client.
ALL = "*"
_MOST_PROBLEMS = 1000
Context = aio.ServicerContext[Any, Any]


class SuppressionService(suppression_pb2_grpc.SuppressionServiceServicer):
    """One for all callers. Method names are those of suppression.proto."""

    def __init__(self, store: Store) -> None:
        self._store = store

    @answering
    async def AddSuppressions(
        self, request: suppression_pb2.AddSuppressionsRequest, context: Context
    ) -> suppression_pb2.AddSuppressionsReply:
        caller = _caller(context)
        _few_enough(request.suppressions)
        for each in request.suppressions:
            _check_scope(caller, each.client_id)
        entries, problems = _read(request.suppressions)

        async def work(tx: Transaction) -> suppression_pb2.AddSuppressionsReply:
            unknown = await _unknown_clients(tx, request.suppressions)
            wrong = sorted([*problems, *unknown], key=lambda problem: problem.index)
            if wrong:
                return suppression_pb2.AddSuppressionsReply(problems=wrong[:_MOST_PROBLEMS])
            added = await add(tx, entries, caller.actor)
            return suppression_pb2.AddSuppressionsReply(
                added=len(added), present=len(entries) - len(added)
            )

        return await run_order(self._store, work, request.dry_run)

    @answering
    async def RemoveSuppressions(
        self, request: suppression_pb2.RemoveSuppressionsRequest, context: Context
    ) -> suppression_pb2.RemoveSuppressionsReply:
        caller = _caller(context)
        _few_enough(request.recipients)
        _check_scope(caller, request.client_id)
        reason = reason_given(request.reason)
        recipients = [_named(text) for text in request.recipients]

        async def work(tx: Transaction) -> suppression_pb2.RemoveSuppressionsReply:
            gone = await remove(tx, clean(request.client_id, "client_id"), recipients,
                                caller.actor, reason)  # fmt: skip
            return suppression_pb2.RemoveSuppressionsReply(removed=map(_row, gone))

        return await run_order(self._store, work, request.dry_run)

    @answering
    async def ListSuppressions(
        self, request: suppression_pb2.ListSuppressionsRequest, context: Context
    ) -> suppression_pb2.SuppressionList:
        _check_scope(_caller(context), request.client_id)
        size = page_size(request.page_size)
        after_client, _, after_recipient = clean(request.page_token, "page_token").partition(" ")
        rows = await self._store.fetch_all(
            SQL["list"],
            after_client=after_client,
            after_recipient=after_recipient,
            client_id=None if request.client_id == ALL else clean(request.client_id, "client_id"),
            filter=clean(request.filter, "filter").lower(),
            reason=clean(request.reason, "reason"),
            limit=size + 1,
        )
        shown = rows[:size]
        last = shown[-1] if len(rows) > size else None
        token = f"{last['client_id']} {last['recipient']}" if last else ""
        return suppression_pb2.SuppressionList(suppressions=map(_row, shown), next_page_token=token)

    @answering
    async def CheckSuppressions(
        self, request: suppression_pb2.CheckSuppressionsRequest, context: Context
    ) -> suppression_pb2.SuppressionList:
        caller = _caller(context)
        _few_enough(request.recipients)
        if caller.kind is not Kind.OPERATOR:
            _check_scope(caller, request.client_id)
        addresses = [_named(text) for text in request.recipients]
        domains = [f"@{each.rpartition('@')[2]}" for each in addresses]
        rows = await self._store.fetch_all(
            SQL["check"],
            client_id=clean(request.client_id, "client_id"),
            recipients=sorted({*addresses, *domains}),
        )
        return suppression_pb2.SuppressionList(suppressions=map(_row, rows))


def _caller(context: Context) -> Identity:
    return peer_identity(cast("Peer", context))


def _check_scope(caller: Identity, client_id: str) -> None:
    """A client's tool speaks for that client only. Raises NotAllowedError."""
    if caller.kind is not Kind.OPERATOR and client_id != caller.id:
        raise NotAllowedError(
            f"the caller is {caller.actor}: it may see and change what is suppressed for "
            f"{caller.id}, not for {client_id or 'every client'}"
        )


def _few_enough(rows: Sequence[object]) -> None:
    if len(rows) > MOST_ROWS:
        raise BadRequestError(f"{len(rows):,} rows; at most {MOST_ROWS:,} in one request")


def _named(text: str) -> str:
    try:
        return recipient_named(text)
    except BadEntry as error:
        raise BadRequestError(f"recipients: {error}") from None


def _read(
    rows: Sequence[suppression_pb2.Suppression],
) -> tuple[list[Entry], list[suppression_pb2.SuppressionProblem]]:
    """The entries, the first of each recipient, and what is wrong with the others."""
    entries: dict[tuple[str, str], Entry] = {}
    problems = []
    for index, row in enumerate(rows):
        try:
            since = row.since.ToDatetime(UTC) if row.HasField("since") else None
            read = entry(row.client_id, row.recipient, row.reason, row.evidence, since)
        except (BadEntry, ValueError, OverflowError) as error:
            problems.append(suppression_pb2.SuppressionProblem(index=index, error=str(error)))
            continue
        entries.setdefault((read.client_id, read.recipient), read)
    return list(entries.values()), problems


async def _unknown_clients(
    tx: Transaction, rows: Sequence[suppression_pb2.Suppression]
) -> list[suppression_pb2.SuppressionProblem]:
    named = sorted({clean(row.client_id, "client_id") for row in rows})
    unknown = {row["id"] for row in await tx.fetch_all(SQL["unknown_clients"], ids=named)}
    return [
        suppression_pb2.SuppressionProblem(
            index=index, error=f"client {row.client_id!r} is not in the inventory"
        )
        for index, row in enumerate(rows)
        if row.client_id in unknown
    ]


def _row(row: Row) -> suppression_pb2.Suppression:
    since: datetime = row.pop("since")
    message = suppression_pb2.Suppression(**row)
    message.since.FromDatetime(since.astimezone(UTC))
    return message
