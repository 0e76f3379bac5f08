"""The row about durable submission: messages/s through SubmissionService against a plain COPY.

A real controller (`postfleet controller run`) with its embedded PostgreSQL takes 4 KB messages
over mTLS, as a client's tool sends them; each answer is durable. The messages are for tomorrow, so
nothing but intake works on them. The reference writes as many rows of the same size into the same
tables of the same server by COPY in its binary form, in one transaction: it checks nothing,
answers nobody and looks up no key.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import psycopg
from google.protobuf.timestamp_pb2 import Timestamp
from postfleet.v1 import submission_pb2 as pb
from postfleet.v1 import submission_pb2_grpc

from controller.message_id import new_message_id
from controller.postgres import EmbeddedServer
from lab.bench.errors import BenchError
from lab.bench.result import Bar, Result, Side, median_ratio, spread

_MESSAGES = 10_000
_PER_REQUEST = 250
_CONTENT_OCTETS = 4096
_MAILBOXES = 100
_DEADLINE_S = 60
_NAME = "durable submission vs COPY"

Say = Callable[[str], None]
_MESSAGE = (
    ("id", "text"), ("client_id", "text"), ("idempotency_key", "text"), ("fingerprint", "bytea"),
    ("mailbox", "text"), ("recipient", "text"), ("not_before", "timestamptz"), ("size", "int4"),
)  # fmt: skip
_CONTENT = (("message_id", "text"), ("added", "bytea"), ("content", "bytea"))


def submission(rounds: int, say: Say) -> list[Result]:
    """Measures the row in alternating rounds. Needs no root."""
    ours: list[float] = []
    copied: list[float] = []
    with tempfile.TemporaryDirectory(prefix="postfleet-bench-") as folder:
        state = Path(folder)
        server = EmbeddedServer(state / "pg")
        port = _free_port()
        process = _start_controller(state, port)
        try:
            _wait_until_it_serves(process, port)
            with psycopg.connect(server.dsn()) as connection:
                _fill(connection)
            for number in range(rounds + 1):
                requests = _requests(f"r{number}")
                rate, kept = _submit(state, port, requests), f"r{number}"
                with psycopg.connect(server.dsn()) as connection:
                    reference = _copy(connection, kept)
                    connection.execute("DELETE FROM message")
                # The first round warms caches up and sizes the write-ahead log.
                if number:
                    ours.append(rate)
                    copied.append(reference)
                    say(f"round {number}/{rounds}: submission {rate:.0f}, COPY {reference:.0f}")
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(_DEADLINE_S)
            except subprocess.TimeoutExpired:
                process.kill()
            server.stop()
    note = (
        f"submission {spread(ours)}, COPY {spread(copied)} messages/s; "
        f"median of {rounds} rounds' ratios"
    )
    ratio = median_ratio(ours, copied)
    return [Result(_NAME, ratio, "", Bar(Side.AT_LEAST, 0.5), note)]


def _start_controller(state: Path, port: int) -> subprocess.Popen[bytes]:
    argv = [
        "controller",
        "run",
        "--state-dir",
        str(state),
        "--listen",
        f"127.0.0.1:{port}",
        "--metrics",
        f"127.0.0.1:{_free_port()}",
        "--probe-echo",
        f"127.0.0.1:{_free_port()}",
    ]
    with (state / "controller.log").open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "controller.cli.main", *argv],
            stdout=log, stderr=log, stdin=subprocess.DEVNULL,
            env=os.environ | {"PYTHONWARNINGS": "ignore"},
        )  # fmt: skip


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def _wait_until_it_serves(process: subprocess.Popen[bytes], port: int) -> None:
    until = time.monotonic() + _DEADLINE_S
    while time.monotonic() < until:
        if process.poll() is not None:
            raise BenchError(f"the controller ended with exit status {process.returncode}")
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise BenchError(f"the controller does not serve after {_DEADLINE_S} s")


def _fill(connection: psycopg.Connection[Any]) -> None:
    """One client with mailboxes, as an inventory would leave it."""
    connection.execute(
        "INSERT INTO client (id, name, unsubscribe_url, unsubscribe_mailto)"
        " VALUES ('acme', 'Acme', 'https://u.acme.test/', 'u@acme.test')"
    )
    connection.execute(
        "INSERT INTO domain (name, client_id, dkim_selector, dmarc_policy)"
        " VALUES ('acme.test', 'acme', 'pf1', 'none')"
    )
    connection.execute(
        "INSERT INTO egress (id, client_id, public_ip, helo_name, kind, surrogate_index)"
        " VALUES ('e1', 'acme', '198.51.100.1', 'e1.acme.test', 'socks5', 1)"
    )
    connection.execute(
        "INSERT INTO mailbox (address, domain, client_id, egress_id, display_name)"
        " SELECT format('m%%s@acme.test', i), 'acme.test', 'acme', 'e1', 'Ann'"
        " FROM generate_series(0, %s) AS i",
        (_MAILBOXES - 1,),
    )


def _requests(prefix: str) -> list[pb.SubmitRequest]:
    """Messages as real ones are: a header, lines of text that do not repeat."""
    tomorrow = Timestamp()
    tomorrow.FromDatetime(datetime.now(UTC) + timedelta(days=1))
    requests = []
    for start in range(0, _MESSAGES, _PER_REQUEST):
        request = pb.SubmitRequest()
        for n in range(start, start + _PER_REQUEST):
            request.messages.add(
                idempotency_key=f"{prefix}-{n}",
                client_id="acme",
                recipient=f"someone{n}@example.test",
                not_before=tomorrow,
                content=_content(n),
            )
        requests.append(request)
    return requests


def _content(number: int) -> bytes:
    head = (
        f"From: Ann Example <m{number % _MAILBOXES}@acme.test>\r\n"
        f"To: Someone <someone{number}@example.test>\r\n"
        f"Subject: Message {number} of the bench\r\n"
        "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
        "Content-Transfer-Encoding: base64\r\n\r\n"
    ).encode()
    text = secrets.token_hex((_CONTENT_OCTETS - len(head)) // 2).encode()
    lines = [text[i : i + 76] for i in range(0, len(text), 76)]
    body = b"\r\n".join(lines)[: _CONTENT_OCTETS - len(head) - 2]
    return head + body.rstrip(b"\r\n") + b"\r\n"


def _submit(state: Path, port: int, requests: Sequence[pb.SubmitRequest]) -> float:
    """Messages/s from the first request to the last durable answer."""
    folder = state / "operator"
    credentials = grpc.ssl_channel_credentials(
        (folder / "ca.pem").read_bytes(),
        (folder / "key.pem").read_bytes(),
        (folder / "cert.pem").read_bytes(),
    )

    async def stream() -> float:
        async with grpc.aio.secure_channel(f"127.0.0.1:{port}", credentials) as channel:
            await channel.channel_ready()
            start = time.perf_counter()
            accepted = 0
            async for response in submission_pb2_grpc.SubmissionServiceStub(channel).Submit(
                iter(requests)
            ):
                for result in response.results:
                    if result.status != pb.SUBMIT_STATUS_ACCEPTED:
                        raise BenchError(f"a message was not accepted: {result}")
                    accepted += 1
            seconds = time.perf_counter() - start
        if accepted != _MESSAGES:
            raise BenchError(f"{accepted} of {_MESSAGES} messages were answered")
        return _MESSAGES / seconds

    return asyncio.run(stream())


def _copy(connection: psycopg.Connection[Any], prefix: str) -> float:
    """Rows/s of the same rows by COPY, beside those that were submitted (new ids and keys)."""
    rows = connection.execute(
        "SELECT client_id, idempotency_key, fingerprint, mailbox, recipient, not_before, size,"
        " added, content FROM message JOIN message_content ON message_id = id"
        " WHERE idempotency_key LIKE %s ORDER BY id",
        (f"{prefix}-%",),
    ).fetchall()
    ids = [new_message_id() for _ in rows]
    connection.commit()
    start = time.perf_counter()
    _copy_into(
        connection,
        "message",
        _MESSAGE,
        ((i, r[0], f"copy-{r[1]}", *r[2:7]) for i, r in zip(ids, rows, strict=True)),
    )
    _copy_into(
        connection,
        "message_content",
        _CONTENT,
        ((i, *r[7:9]) for i, r in zip(ids, rows, strict=True)),
    )
    connection.commit()
    return len(rows) / (time.perf_counter() - start)


def _copy_into(
    connection: psycopg.Connection[Any],
    table: str,
    columns: Sequence[tuple[str, str]],
    rows: Iterator[tuple[Any, ...]],
) -> None:
    names = ", ".join(name for name, _ in columns)
    statement = f"COPY {table} ({names}) FROM STDIN (FORMAT BINARY)"
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        copy.set_types([kind for _, kind in columns])
        for row in rows:
            copy.write_row(row)


def main() -> None:
    """The row alone: python -m lab.bench.rows_submission [ROUNDS]."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    for result in submission(rounds, lambda said: print(said, file=sys.stderr, flush=True)):
        print(f"{result.name}: {result.value:.2f} ({result.note})")


if __name__ == "__main__":
    main()
