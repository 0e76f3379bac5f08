"""FeedbackService: the gRPC edge of feedback.

Operators tell and see everything; a client's tool what is about its client's messages. Errors
become statuses in `controller.fleet.status`; a bad row of a long list is an answer, not an error.
"""

# ruff: noqa: N802 (names are gRPC's)

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, cast

from grpc import aio
from postfleet.v1 import feedback_pb2, feedback_pb2_grpc

from controller.feedback.entry import BadEntry, Entry, Kind, entry
from controller.feedback.metrics import FEEDBACK
from controller.feedback.take import SQL, About, Taken, find, take
from controller.fleet.answering import answering
from controller.fleet.errors import BadRequestError, NotAllowedError
from controller.fleet.ordering import run_order
from controller.fleet.pages import clean, page_size
from controller.keys.identity import Identity, Peer, peer_identity
from controller.keys.identity import Kind as Caller
from controller.store import Row, Store, Transaction

MOST_ROWS = 10_000
_MOST_PROBLEMS = 1000
Context = aio.ServicerContext[Any, Any]
Problem = feedback_pb2.FeedbackProblem


class FeedbackService(feedback_pb2_grpc.FeedbackServiceServicer):
    """One for all callers. Method names are those of feedback.proto."""

    def __init__(self, store: Store) -> None:
        self._store = store

    @answering
    async def TakeFeedback(
        self, request: feedback_pb2.TakeFeedbackRequest, context: Context
    ) -> feedback_pb2.TakeFeedbackReply:
        caller = _caller(context)
        if len(request.feedback) > MOST_ROWS:
            raise BadRequestError(
                f"{len(request.feedback):,} rows; at most {MOST_ROWS:,} in one request"
            )
        entries, problems = _read(request.feedback)
        whose = None if caller.kind is Caller.OPERATOR else caller.id

        async def work(tx: Transaction) -> Taken | list[Problem]:
            found = await find(tx, [each for _, each in entries], whose)
            rows, missing = _matched(entries, found)
            if problems or missing:
                return sorted([*problems, *missing], key=lambda each: each.index)
            return await take(tx, rows, caller.actor)

        done = await run_order(self._store, work, request.dry_run)
        if not isinstance(done, Taken):
            return feedback_pb2.TakeFeedbackReply(problems=done[:_MOST_PROBLEMS])
        if not request.dry_run:
            for each, _ in done.new:
                FEEDBACK.labels(each.kind).inc()
        return feedback_pb2.TakeFeedbackReply(
            taken=len(done.new), known=len(entries) - len(done.new), suppressed=done.suppressed
        )

    @answering
    async def ListFeedback(
        self, request: feedback_pb2.ListFeedbackRequest, context: Context
    ) -> feedback_pb2.FeedbackList:
        caller = _caller(context)
        if caller.kind is not Caller.OPERATOR and request.client_id != caller.id:
            raise NotAllowedError(
                f"the caller is {caller.actor}: it may see what is about {caller.id}, not about "
                f"{request.client_id or 'every client'}"
            )
        if request.kind and request.kind not in set(Kind):
            raise BadRequestError(f"kind: {request.kind!r}; there are {', '.join(Kind)}")
        if len(request.message_ids) > MOST_ROWS:
            raise BadRequestError(f"message_ids: at most {MOST_ROWS:,} in one request")
        size = page_size(request.page_size)
        after_id, _, after_kind = clean(request.page_token, "page_token").partition(" ")
        rows = await self._store.fetch_all(
            SQL["list"],
            after_id=after_id,
            after_kind=after_kind,
            client_id=clean(request.client_id, "client_id"),
            kind=request.kind,
            ids=[clean(each, "message_ids") for each in request.message_ids],
            limit=size + 1,
        )
        shown = rows[:size]
        last = shown[-1] if len(rows) > size else None
        token = f"{last['message_id']} {last['kind']}" if last else ""
        return feedback_pb2.FeedbackList(feedback=map(_row, shown), next_page_token=token)


def _caller(context: Context) -> Identity:
    return peer_identity(cast("Peer", context))


def _read(rows: Iterable[feedback_pb2.Feedback]) -> tuple[list[tuple[int, Entry]], list[Problem]]:
    """The rows that can be read, each with its index, and what is wrong with the others."""
    now = datetime.now(UTC)
    entries, problems = [], []
    for index, row in enumerate(rows):
        try:
            at = row.at.ToDatetime(UTC) if row.HasField("at") else None
            read = entry(
                row.kind, row.message_id, row.recipient, row.mailbox, at, row.evidence, now
            )
        except (BadEntry, ValueError, OverflowError) as error:
            problems.append(Problem(index=index, error=str(error)))
            continue
        entries.append((index, read))
    return entries, problems


def _matched(
    entries: Sequence[tuple[int, Entry]], found: Sequence[About | None]
) -> tuple[list[tuple[Entry, About]], list[Problem]]:
    rows, missing = [], []
    for (index, each), about in zip(entries, found, strict=True):
        if about is None:
            missing.append(Problem(index=index, error=_not_found(each)))
        else:
            rows.append((each, about))
    return rows, missing


def _not_found(each: Entry) -> str:
    if each.message_id is not None:
        return f"message: no {each.message_id} was ever on its way"
    return (
        f"message: nothing was on its way from {each.mailbox} to {each.recipient} before "
        f"{each.at.isoformat(timespec='seconds')}"
    )


def _row(row: Row) -> feedback_pb2.Feedback:
    times = {name: row.pop(name) for name in ("at", "told_at")}
    message = feedback_pb2.Feedback(**row)
    for name, time in times.items():
        getattr(message, name).FromDatetime(time.astimezone(UTC))
    return message
