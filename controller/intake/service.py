"""SubmissionService: the gRPC edge of intake.

Reads requests of a stream ahead of the answers (a few at a time, so that one is checked while
another is committed) and answers in order. Breaks the stream, saying so, where a request is beyond
its limits or the database is away; what was answered before stays true, the rest may be sent again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from typing import Any, NoReturn, cast

import grpc
import structlog
from postfleet.v1 import submission_pb2, submission_pb2_grpc
from postfleet.v1.submission_pb2 import (
    SubmitRequest,
    SubmitResponse,
    SubmitResult,
    SubmittedMessage,
)

from controller.intake import metrics
from controller.intake.check import Submission
from controller.intake.ingest import Result, Taken, ingest
from controller.intake.rejection import Code, Rejection, shown
from controller.keys.errors import UnknownIdentityError
from controller.keys.identity import Identity, Kind, Peer, peer_identity
from controller.store import Store
from controller.store.errors import StoreError

MESSAGES_PER_REQUEST = 1000
OCTETS_PER_REQUEST = 3 * 1024 * 1024
_AHEAD = 4
_log = structlog.get_logger(__name__)
_Answer = asyncio.Task[SubmitResponse]
_Context = grpc.aio.ServicerContext[Any, Any]


class SubmissionService(submission_pb2_grpc.SubmissionServiceServicer):
    """One for all streams. `clock` gives aware times; None: the database's."""

    def __init__(self, store: Store, clock: Callable[[], datetime] | None = None) -> None:
        self._store = store
        self._clock = clock

    async def Submit(  # noqa: N802  (the name in the proto)
        self, request_iterator: AsyncIterator[SubmitRequest], context: _Context
    ) -> AsyncIterator[SubmitResponse]:
        """See submission.proto."""
        try:
            caller = peer_identity(cast("Peer", context))
        except UnknownIdentityError as error:
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, str(error))
        answers: asyncio.Queue[_Answer | None] = asyncio.Queue(_AHEAD)
        reader = asyncio.create_task(self._read_ahead(request_iterator, caller, answers))
        try:
            while (answer := await answers.get()) is not None:
                yield await answer
            await reader
        except TooMuch as error:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        except StoreError as error:
            await _abort(context, error)
        finally:
            reader.cancel()
            left = [answer for answer in _drained(answers) if answer is not None]
            for answer in left:
                answer.cancel()
            await asyncio.gather(reader, *left, return_exceptions=True)

    async def _read_ahead(
        self,
        requests: AsyncIterator[SubmitRequest],
        caller: Identity,
        answers: asyncio.Queue[_Answer | None],
    ) -> None:
        try:
            async for request in requests:
                await answers.put(asyncio.create_task(self._answer(request, caller)))
        finally:
            await answers.put(None)

    async def _answer(self, request: SubmitRequest, caller: Identity) -> SubmitResponse:
        _check_limits(request)
        start = time.monotonic()
        read = [_submission(message, caller) for message in request.messages]
        batch = [s for s in read if isinstance(s, Submission)]
        stored = iter(await ingest(self._store, batch, self._clock))
        results = [r if isinstance(r, Rejection) else next(stored) for r in read]
        metrics.count(results, sum(len(s.content) for s in batch), time.monotonic() - start)
        return SubmitResponse(results=[_answered(result) for result in results])


def _drained(queue: asyncio.Queue[_Answer | None]) -> Iterator[_Answer | None]:
    while not queue.empty():
        yield queue.get_nowait()


class TooMuch(Exception):
    """A request holds more than a request may."""


def _check_limits(request: SubmitRequest) -> None:
    count = len(request.messages)
    if count > MESSAGES_PER_REQUEST:
        raise TooMuch(
            f"{count:,} messages in a request, {MESSAGES_PER_REQUEST:,} are allowed; "
            "none of them was accepted, earlier answers hold"
        )
    octets = sum(len(message.content) for message in request.messages)
    if octets > OCTETS_PER_REQUEST and count > 1:
        raise TooMuch(
            f"{octets:,} octets in a request, {OCTETS_PER_REQUEST:,} are allowed in one with "
            "several messages; none of them was accepted, earlier answers hold"
        )


def _submission(message: SubmittedMessage, caller: Identity) -> Submission | Rejection:
    if caller.kind is not Kind.OPERATOR and message.client_id != caller.id:
        return Rejection(
            Code.UNKNOWN_CLIENT,
            f"the caller is {caller.actor} and submits for itself only, "
            f"not for {shown(message.client_id)!r}",
        )
    not_before = None
    if message.HasField("not_before"):
        stamp = message.not_before
        try:
            if not 0 <= stamp.nanos < 1_000_000_000:
                raise ValueError(f"{stamp.nanos} nanoseconds")
            not_before = datetime.fromtimestamp(stamp.seconds, UTC).replace(
                microsecond=stamp.nanos // 1000
            )
        except (ValueError, OverflowError, OSError):
            return Rejection(
                Code.BAD_TIME, f"not_before is no time: {stamp.seconds} s, {stamp.nanos} ns"
            )
    return Submission(
        message.idempotency_key,
        message.client_id,
        message.mailbox,
        message.recipient,
        not_before,
        message.content,
    )


def _answered(result: Result) -> SubmitResult:
    if isinstance(result, Taken):
        status = (
            submission_pb2.SUBMIT_STATUS_DUPLICATE
            if result.duplicate
            else submission_pb2.SUBMIT_STATUS_ACCEPTED
        )
        return SubmitResult(status=status, message_id=result.message_id)
    return SubmitResult(
        status=submission_pb2.SUBMIT_STATUS_REJECTED, code=result.code, error=result.error
    )


async def _abort(context: _Context, error: StoreError) -> NoReturn:
    if error.retry:
        code = grpc.StatusCode.UNAVAILABLE
        said = "the database is away; send the unanswered requests again with the same keys"
    else:
        code = grpc.StatusCode.INTERNAL
        said = "the database refused the request; the controller's log says why"
    _log.error("submission failed", code=code.name, why=str(error))
    await context.abort(code, said)
