"""Hands letters to the SubmissionService, in batches over one stream, and notes its answers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

import grpc
from google.protobuf.timestamp_pb2 import Timestamp
from postfleet.v1 import submission_pb2, submission_pb2_grpc

from lab.demo.adapt import Letter
from lab.demo.errors import DemoError, SubmissionBroken
from lab.demo.facts import Submitted

# The service takes 1,000 messages and 3 MiB a request.
_BATCH_MESSAGES = 100
_BATCH_OCTETS = 2_500_000
_TIMEOUT_S = 300.0
# A key that was submitted before gives the same message again.
_TAKEN = (submission_pb2.SUBMIT_STATUS_ACCEPTED, submission_pb2.SUBMIT_STATUS_DUPLICATE)
# Spread over time, as a sender would: all at once would start a thousand smtp(8) in one second.
_MESSAGES_PER_S = 60


def submit(
    channel: grpc.Channel,
    letters: Sequence[Letter],
    run: str,
    progress: Callable[[int], None] = lambda _: None,
    *,
    start: float | None = None,
    timeout_s: float = _TIMEOUT_S,
) -> dict[str, Submitted]:
    """Submits all; returns them by message id. `run` makes the idempotency keys.

    `start` is when the first one is due (seconds since the epoch; None: now). Given the same run,
    letters and start, it may be called again: what was taken before is not taken twice.
    Raises SubmissionBroken when the stream breaks, DemoError when a message is refused.
    """
    batches = list(_batches(letters, run, time.time() if start is None else start))
    stub = submission_pb2_grpc.SubmissionServiceStub(channel)
    accepted: dict[str, Submitted] = {}
    done = 0
    try:
        replies = stub.Submit((request for _, request in batches), timeout=timeout_s)
        for (chunk, _), reply in zip(batches, replies, strict=True):
            for letter, result in zip(chunk, reply.results, strict=True):
                accepted[_message_id(letter, result)] = _as_submitted(letter, result)
            done += len(chunk)
            progress(done)
    except grpc.RpcError as error:
        words = error.details() if isinstance(error, grpc.Call) else repr(error)
        raise SubmissionBroken(
            f"submission after {done} of {len(letters)} messages: {words}"
        ) from error
    except ValueError as error:
        raise SubmissionBroken(
            f"submission: {done} of {len(letters)} were answered ({error})"
        ) from error
    return accepted


def _message_id(letter: Letter, result: submission_pb2.SubmitResult) -> str:
    if result.status not in _TAKEN:
        raise DemoError(
            f"submission of {letter.name} to {letter.recipient}: "
            f"{submission_pb2.SubmitStatus.Name(result.status)} {result.code}: {result.error}"
        )
    return result.message_id


def _as_submitted(letter: Letter, result: submission_pb2.SubmitResult) -> Submitted:
    return Submitted(
        message_id=result.message_id,
        client=letter.client,
        mailbox=letter.mailbox,
        recipient=letter.recipient,
        content=letter.content,
    )


def _batches(
    letters: Sequence[Letter], run: str, start: float
) -> Iterator[tuple[list[Letter], submission_pb2.SubmitRequest]]:
    chunk: list[Letter] = []
    octets = first = 0
    for number, letter in enumerate(letters):
        full = len(chunk) == _BATCH_MESSAGES or octets + len(letter.content) > _BATCH_OCTETS
        if chunk and full:
            yield chunk, _request(chunk, run, first, start)
            chunk, octets, first = [], 0, number
        chunk.append(letter)
        octets += len(letter.content)
    if chunk:
        yield chunk, _request(chunk, run, first, start)


def _request(
    chunk: list[Letter], run: str, first: int, start: float
) -> submission_pb2.SubmitRequest:
    return submission_pb2.SubmitRequest(
        messages=[
            submission_pb2.SubmittedMessage(
                idempotency_key=f"{run}-{number:06d}",
                client_id=letter.client,
                mailbox=letter.mailbox if letter.named else "",
                recipient=letter.recipient,
                not_before=Timestamp(seconds=int(start + number / _MESSAGES_PER_S)),
                content=letter.content,
            )
            for number, letter in enumerate(chunk, first)
        ]
    )
