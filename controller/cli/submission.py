"""Hands messages to the SubmissionService over one stream, and resumes when it breaks.

Messages travel in batches; each batch is answered after it is durable. What was not answered when
the stream broke is sent again with the same keys, so nothing is lost and nothing is there twice.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator
from datetime import datetime

import grpc
from google.protobuf.timestamp_pb2 import Timestamp
from postfleet.v1 import submission_pb2

from controller.cli.connection import Connection
from controller.cli.outgoing import Outgoing

# The service takes 1,000 messages and 3 MiB in a request, or a single larger message.
_BATCH_MESSAGES = 500
_BATCH_OCTETS = 2 * 1024 * 1024
_MOST_ATTEMPTS = 5

Batch = list[Outgoing]
Answer = tuple[Outgoing, submission_pb2.SubmitResult]


class Submission:
    """Submits a stream of messages; iterate over `answers`."""

    def __init__(self, connection: Connection, messages: Iterator[Outgoing]) -> None:
        self._connection = connection
        self._batches = _batches(messages)
        self._unanswered: deque[Batch] = deque()
        self._lock = threading.Lock()
        # Rises with every stream: a thread of gRPC that still reads for an old one gets nothing.
        self._stream = 0
        self._exhausted = False
        self._input_error: Exception | None = None

    @property
    def unanswered(self) -> int:
        """How many messages were sent and not answered yet."""
        return sum(map(len, list(self._unanswered)))

    def answers(self) -> Iterator[Answer]:
        """Each message with its result, in order. Raises Failure, and what reading input raised."""
        attempt = 0
        while not (self._exhausted and not self._unanswered):
            try:
                for answer in self._one_stream():
                    attempt = 0
                    yield answer
            except grpc.RpcError as error:
                attempt += 1
                unavailable = error.code() is grpc.StatusCode.UNAVAILABLE
                if not unavailable or attempt == _MOST_ATTEMPTS:
                    raise self._connection.failure(error) from None
                time.sleep(0.2 * 2**attempt)
        if self._input_error is not None:
            raise self._input_error

    def _one_stream(self) -> Iterator[Answer]:
        self._stream += 1
        call = self._connection.submission.Submit(self._requests(self._stream))
        try:
            for response in call:
                yield from zip(self._unanswered[0], response.results, strict=True)
                self._unanswered.popleft()
        finally:
            call.cancel()

    def _requests(self, stream: int) -> Iterator[submission_pb2.SubmitRequest]:
        """Runs in a thread of gRPC's, which pulls as fast as the controller takes."""
        for batch in list(self._unanswered):
            yield _request(batch)
        while (new := self._next(stream)) is not None:
            yield _request(new)

    def _next(self, stream: int) -> Batch | None:
        with self._lock:
            if stream != self._stream or self._exhausted:
                return None
            try:
                batch: Batch | None = next(self._batches, None)
            except Exception as error:
                # What was read before is submitted; the caller hears of this at the end.
                self._input_error, batch = error, None
            if batch is None:
                self._exhausted = True
            else:
                self._unanswered.append(batch)
            return batch


def _batches(messages: Iterator[Outgoing]) -> Iterator[Batch]:
    batch: Batch = []
    octets = 0
    try:
        for message in messages:
            size = len(message.content)
            if batch and (len(batch) == _BATCH_MESSAGES or octets + size > _BATCH_OCTETS):
                yield batch
                batch, octets = [], 0
            batch.append(message)
            octets += size
    except Exception:
        if batch:
            yield batch
        raise
    if batch:
        yield batch


def _stamp(time: datetime | None) -> Timestamp | None:
    if time is None:
        return None
    stamp = Timestamp()
    stamp.FromDatetime(time)
    return stamp


def _request(batch: Batch) -> submission_pb2.SubmitRequest:
    return submission_pb2.SubmitRequest(
        messages=[
            submission_pb2.SubmittedMessage(
                idempotency_key=each.key,
                client_id=each.client,
                mailbox=each.mailbox,
                recipient=each.recipient,
                not_before=_stamp(each.not_before),
                content=each.content,
            )
            for each in batch
        ]
    )
