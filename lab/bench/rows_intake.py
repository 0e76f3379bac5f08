"""The row about intake: durable submissions a second against COPY of the same rows.

Submission is the whole way of a sender: gRPC over mTLS, every check, the transaction, the answer.
The reference is one COPY for each table, in one transaction, into the same tables of the same
server, with rows made beforehand: nothing that takes mail in can be quicker.
"""

from __future__ import annotations

import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import grpc
import psycopg
from postfleet.v1 import submission_pb2 as pb
from postfleet.v1 import submission_pb2_grpc

from controller.message_id import new_message_id
from controller.postgres import EmbeddedServer
from controller.store.migrate import migrate
from lab.bench.errors import BenchError
from lab.bench.ground import Ground
from lab.bench.result import Bar, Result, Side, median_ratio, spread

_MESSAGES = 5000
_PER_REQUEST = 500
_MAILBOXES = 100
_BODY = b"From: box0@bench.test\r\nSubject: bench\r\n\r\n" + (b"x" * 70 + b"\r\n") * 56
_POSTGRES_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_CHECKOUT = Path(__file__).parents[2]

_FLEET = """
INSERT INTO client (id, name, unsubscribe_url, unsubscribe_mailto)
    VALUES ('bench', 'Bench', 'https://u.bench.test/', 'u@bench.test');
INSERT INTO domain (name, client_id, dkim_selector, dmarc_policy)
    VALUES ('bench.test', 'bench', 'pf1', 'none');
INSERT INTO egress (id, client_id, public_ip, helo_name, kind, surrogate_index)
    VALUES ('e1', 'bench', '198.51.100.1', 'e1.bench.test', 'socks5', 1);
INSERT INTO mailbox (address, domain, client_id, egress_id, display_name)
    SELECT 'box' || n || '@bench.test', 'bench.test', 'bench', 'e1', 'Box ' || n
    FROM generate_series(0, {mailboxes} - 1) AS n;
"""
_COPY_SUBMISSION = """COPY submission (message_id, client_id, idempotency_key, fingerprint,
    recipient) FROM STDIN (FORMAT binary)"""
_COPY_MESSAGE = """COPY message (id, client_id, mailbox, recipient, not_before, size)
    FROM STDIN (FORMAT binary)"""
_COPY_CONTENT = "COPY message_content (message_id, added, content) FROM STDIN (FORMAT binary)"


def submission(ground: Ground, rounds: int, say: Callable[[str], None]) -> list[Result]:
    """Measure the row."""
    directory = ground.directory / "intake"
    directory.mkdir()
    numbers = count()
    rates: dict[str, list[float]] = {"submission": [], "COPY": []}
    with EmbeddedServer(directory / "pg") as server:
        migrate(server.dsn())
        with psycopg.connect(server.dsn()) as connection:
            connection.execute(_FLEET.format(mailboxes=_MAILBOXES).encode())
        with _served(server.dsn(), directory) as stub:
            _submit(stub, numbers)
            for number in range(rounds):
                rates["submission"].append(_submit(stub, numbers))
                rates["COPY"].append(_copy(server.dsn(), numbers))
                say(
                    f"round {number + 1}/{rounds}: submission {rates['submission'][-1]:.0f}, "
                    f"COPY {rates['COPY'][-1]:.0f} messages/s"
                )
    note = f"submission {spread(rates['submission'])}, COPY {spread(rates['COPY'])} messages/s"
    ratio = median_ratio(rates["submission"], rates["COPY"])
    return [Result("durable submission vs COPY", ratio, "", Bar(Side.AT_LEAST, 0.5), note)]


@contextmanager
def _served(dsn: str, directory: Path) -> Iterator[submission_pb2_grpc.SubmissionServiceStub]:
    process = subprocess.Popen(
        [sys.executable, "-m", "lab.bench.intake_server", dsn, str(directory)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=_CHECKOUT,
    )
    try:
        assert process.stdout is not None
        port = process.stdout.readline().strip()
        if not port:
            raise BenchError("the intake did not start")
        names = ("client-ca.pem", "client-key.pem", "client-cert.pem")
        credentials = grpc.ssl_channel_credentials(*((directory / n).read_bytes() for n in names))
        with grpc.secure_channel(f"127.0.0.1:{port}", credentials) as channel:
            yield submission_pb2_grpc.SubmissionServiceStub(channel)
    finally:
        process.communicate()


def _submit(stub: submission_pb2_grpc.SubmissionServiceStub, numbers: Iterator[int]) -> float:
    """Submit a round's messages in one stream; messages per second until the last answer."""
    requests = [
        pb.SubmitRequest(
            messages=[
                pb.SubmittedMessage(
                    idempotency_key=f"key-{next(numbers)}",
                    client_id="bench",
                    mailbox=f"box{number % _MAILBOXES}@bench.test",
                    recipient=f"someone{number}@example.test",
                    content=_BODY,
                )
                for number in range(_PER_REQUEST)
            ]
        )
        for _ in range(_MESSAGES // _PER_REQUEST)
    ]
    began = time.monotonic()
    stored = sum(
        result.status == pb.SUBMIT_STATUS_ACCEPTED
        for response in stub.Submit(iter(requests))
        for result in response.results
    )
    seconds = time.monotonic() - began
    if stored != _MESSAGES:
        raise BenchError(f"only {stored} of {_MESSAGES} messages were accepted")
    return stored / seconds


def _copy(dsn: str, numbers: Iterator[int]) -> float:
    """COPY rows like those that a round of submissions leaves; messages per second."""
    microseconds = int((datetime.now(UTC) - _POSTGRES_EPOCH).total_seconds() * 1e6)
    added = b"X-Added: " + b"y" * 300 + b"\r\n"
    submissions, messages, contents = [], [], []
    for number in range(_MESSAGES):
        message_id = new_message_id().encode()
        recipient = b"someone%d@example.test" % number
        submissions.append((message_id, b"bench", b"key-%d" % next(numbers), bytes(32), recipient))
        messages.append(
            (
                message_id, b"bench", b"box%d@bench.test" % (number % _MAILBOXES), recipient,
                struct.pack("!q", microseconds), struct.pack("!i", len(added) + len(_BODY)),
            )
        )  # fmt: skip
        contents.append((message_id, added, _BODY))
    prepared = (
        (_COPY_SUBMISSION, _binary(submissions)),
        (_COPY_MESSAGE, _binary(messages)),
        (_COPY_CONTENT, _binary(contents)),
    )
    with psycopg.connect(dsn) as connection, connection.cursor() as cursor:
        began = time.monotonic()
        for statement, data in prepared:
            with cursor.copy(statement) as copy:
                copy.write(data)
        connection.commit()
        return _MESSAGES / (time.monotonic() - began)


def _binary(rows: Sequence[Sequence[bytes]]) -> bytes:
    """Rows in COPY's binary format; every field has its binary representation already."""
    out = bytearray(b"PGCOPY\n\xff\r\n\0" + bytes(8))
    for row in rows:
        out += struct.pack("!h", len(row))
        for field in row:
            out += struct.pack("!i", len(field)) + field
    return bytes(out + struct.pack("!h", -1))
