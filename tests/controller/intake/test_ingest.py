"""Batches into a real PostgreSQL: once per key, whoever asks how often and at the same time."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from controller.intake.check import Submission
from controller.intake.ingest import Result, Taken, ingest
from controller.intake.rejection import Code, Rejection
from controller.store import Store

Fleet = Callable[..., list[str]]
BODY = b"Subject: hello\r\n\r\nbody\r\n"


def batch(count: int, client: str = "acme", prefix: str = "k") -> list[Submission]:
    return [
        Submission(f"{prefix}{n}", client, "", f"r{n}@x.test", None, BODY) for n in range(count)
    ]


def rows(database: str, sql: str, *parameters: object) -> list[Any]:
    with psycopg.connect(database) as connection:
        return connection.execute(sql, parameters).fetchall()


def ids(results: list[Result]) -> list[str]:
    assert all(isinstance(r, Taken) for r in results), results
    return [r.message_id for r in results if isinstance(r, Taken)]


def duplicates(results: list[Result]) -> list[bool]:
    return [isinstance(r, Taken) and r.duplicate for r in results]


async def test_messages_are_stored_with_content_as_submitted_and_lines_added(
    store: Store, database: str, make_fleet: Fleet
) -> None:
    (address,) = make_fleet("acme", mailboxes=1, egresses=1)
    octets = bytes(range(1, 10)) + b"\t" + bytes(range(128, 256))
    content = b"Subject: x\r\n\r\n" + octets + b"\r\n.\r\n..\r\n"
    submitted = Submission("k", "acme", address, "R@X.test", None, content)
    (message_id,) = ids(await ingest(store, [submitted]))
    ((client, mailbox, recipient, state, size, added, stored),) = rows(
        database,
        "SELECT client_id, mailbox, recipient, state, size, added, content FROM message"
        " JOIN message_content ON message_id = id WHERE id = %s",
        message_id,
    )
    assert (client, mailbox, recipient, state) == ("acme", address, "R@x.test", "accepted")
    assert hashlib.sha256(stored).digest() == hashlib.sha256(content).digest()
    assert size == len(added) + len(content)
    assert added.startswith(f'From: "Person 0" <{address}>\r\n'.encode())


async def test_a_batch_gives_results_in_order_and_bad_messages_harm_no_other(
    store: Store, database: str, make_fleet: Fleet
) -> None:
    make_fleet("acme")
    rows(
        database,
        "INSERT INTO suppression (client_id, recipient, reason) VALUES ('', 'r4@x.test', 'asked')"
        " RETURNING 1",
    )
    submitted = batch(6)
    submitted[1] = replace(submitted[1], recipient="nobody")
    submitted[3] = replace(submitted[3], client_id="other")
    results = await ingest(store, submitted)
    codes = [r.code if isinstance(r, Rejection) else "taken" for r in results]
    assert codes == [
        "taken", Code.MALFORMED_RECIPIENT, "taken", Code.UNKNOWN_CLIENT, Code.SUPPRESSED, "taken"
    ]  # fmt: skip
    assert rows(database, "SELECT idempotency_key FROM submission ORDER BY 1") == [
        ("k0",), ("k2",), ("k5",)
    ]  # fmt: skip


async def test_the_same_key_and_message_again_is_a_duplicate_with_the_same_id(
    store: Store, database: str, make_fleet: Fleet
) -> None:
    make_fleet("acme")
    first = await ingest(store, batch(5))
    again = await ingest(store, batch(7))
    assert ids(again)[:5] == ids(first)
    assert duplicates(again) == [True] * 5 + [False] * 2
    assert rows(database, "SELECT count(*) FROM message") == [(7,)]


async def test_the_same_key_with_another_message_is_refused_and_changes_nothing(
    store: Store, database: str, make_fleet: Fleet
) -> None:
    make_fleet("acme")
    await ingest(store, batch(1))
    (result,) = await ingest(store, [replace(batch(1)[0], recipient="other@x.test")])
    assert isinstance(result, Rejection)
    assert result.code is Code.KEY_REUSED
    assert rows(database, "SELECT recipient FROM message") == [("r0@x.test",)]


async def test_a_key_is_the_clients_own(store: Store, make_fleet: Fleet) -> None:
    make_fleet("acme")
    make_fleet("bolt")
    one = await ingest(store, batch(1, "acme"))
    two = await ingest(store, batch(1, "bolt"))
    assert ids(one) != ids(two)
    assert duplicates(two) == [False]


async def test_a_key_twice_in_one_batch_is_answered_like_in_two(
    store: Store, database: str, make_fleet: Fleet
) -> None:
    make_fleet("acme")
    one = batch(1)[0]
    other = replace(one, content=b"Subject: other\r\n\r\n")
    results = await ingest(store, [one, one, other, one])
    assert isinstance(results[2], Rejection)
    assert results[2].code is Code.KEY_REUSED
    taken = [results[0], results[1], results[3]]
    assert len(set(ids(taken))) == 1
    assert duplicates(taken) == [False, True, True]
    assert rows(database, "SELECT count(*) FROM message") == [(1,)]


async def test_a_known_key_is_answered_also_when_the_message_would_now_be_refused(
    store: Store, database: str, make_fleet: Fleet
) -> None:
    make_fleet("acme")
    first = await ingest(store, batch(2))
    rows(
        database,
        "INSERT INTO suppression (client_id, recipient, reason)"
        " VALUES ('acme', '@x.test', 'asked') RETURNING 1",
    )
    assert ids(await ingest(store, batch(2))) == ids(first)


async def test_what_was_refused_may_be_submitted_again_under_its_key(
    store: Store, database: str, make_fleet: Fleet
) -> None:
    (refused,) = await ingest(store, batch(1))
    assert isinstance(refused, Rejection)
    make_fleet("acme")
    assert duplicates(await ingest(store, batch(1))) == [False]


@pytest.mark.parametrize("reverse", [False, True])
async def test_the_same_keys_at_once_make_one_message_each(
    store: Store, database: str, make_fleet: Fleet, reverse: bool
) -> None:
    make_fleet("acme")
    batches = [batch(60) for _ in range(8)]
    if reverse:
        for every_second in batches[::2]:
            every_second.reverse()
    answers = await asyncio.gather(*(ingest(store, b) for b in batches))
    if reverse:
        for every_second in answers[::2]:
            every_second.reverse()
    assert len({tuple(ids(answer)) for answer in answers}) == 1
    assert sum(not d for answer in answers for d in duplicates(answer)) == 60
    assert rows(database, "SELECT count(*) FROM message") == [(60,)]
    assert rows(database, "SELECT count(*) FROM message_content") == [(60,)]


async def test_an_empty_batch_is_answered_emptily(store: Store) -> None:
    assert await ingest(store, []) == []


async def test_the_provider_of_a_known_domain_is_stored_at_once(
    store: Store, database: str, make_fleet: Fleet
) -> None:
    make_fleet("acme")
    with psycopg.connect(database) as connection:
        connection.execute(
            "INSERT INTO mail_domain (domain, receiver, outcome, due_at) VALUES"
            " ('known.test', 'google', 'found', now() + interval '1 h'),"
            " ('small.test', 'mail.example.net', 'found', now() + interval '1 h'),"
            " ('stale.test', 'google', 'found', now()),"
            " ('failed.test', 'unknown', 'failed', now() + interval '1 h')"
        )
    names = ("Known", "small", "stale", "failed", "new")
    submitted = [Submission(n, "acme", "", f"r@{n}.test", None, BODY) for n in names]
    ids(await ingest(store, submitted))
    found = rows(
        database,
        "SELECT idempotency_key, provider, receiver"
        " FROM message JOIN submission ON message_id = id",
    )
    assert {key: whose for key, *whose in found} == {
        "Known": ["google", "google"], "small": ["other", "mail.example.net"],
        "stale": [None, None], "failed": [None, None], "new": [None, None],
    }  # fmt: skip
