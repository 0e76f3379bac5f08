"""Inputs of every format become messages, with CRLF, and nothing else of them changes."""

from __future__ import annotations

import io
import itertools
import json
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.cli.input import read_path, read_stream
from controller.cli.input_message import InputError, InputMessage, with_crlf
from controller.cli.outgoing import Choices, outgoing


def _read(octets: bytes, kind: str = "") -> list[InputMessage]:
    return list(read_stream(io.BytesIO(octets), "input", kind))


_LINE = st.binary(max_size=30).map(lambda line: line.replace(b"\r", b"").replace(b"\n", b""))


@given(st.lists(_LINE, min_size=1))
def test_both_kinds_of_line_ends_give_the_same_message(lines: list[bytes]) -> None:
    expected = b"".join(line + b"\r\n" for line in lines)
    assert with_crlf(b"\n".join(lines) + b"\n") == expected
    assert with_crlf(expected) == expected


def _mboxrd(messages: list[list[bytes]]) -> bytes:
    """As a mail program writes it."""
    octets = b""
    for message in messages:
        octets += b"From sender@example.test Sat Nov 21 22:30:11 2026\n"
        for line in message:
            stripped = line.lstrip(b">")
            octets += (b">" if stripped.startswith(b"From ") else b"") + line + b"\n"
        octets += b"\n"
    return octets


_MBOX_LINE = st.one_of(
    _LINE, st.sampled_from([b"From here", b">From there", b">>From", b"", b"From "])
)


@given(st.lists(st.lists(_MBOX_LINE, min_size=1), min_size=1))
def test_an_mbox_gives_back_what_was_put_into_it(messages: list[list[bytes]]) -> None:
    expected = [b"".join(line + b"\r\n" for line in message) for message in messages]
    assert [each.content for each in _read(_mboxrd(messages))] == expected


def test_a_mailbox_file_may_lack_the_empty_line_at_its_end() -> None:
    (message,) = _read(b"From x\nSubject: s\n\nbody")
    assert message.content == b"Subject: s\r\n\r\nbody\r\n"


def test_json_lines_take_whole_contents_and_parts() -> None:
    whole = {"recipient": "a@b.test", "content": "Subject: ü\n\nText\n", "client": "harbor",
             "mailbox": "m@d.test", "not_before": "2026-11-01T09:00:00+01:00",
             "idempotency_key": "k1"}  # fmt: skip
    parts = {"recipient": "a@b.test", "subject": "Grüße", "text": "Hällo\n", "html": "<p>Hällo</p>"}
    octets = "\n\n".join(json.dumps(each) for each in (whole, parts)).encode()
    first, second = _read(octets)
    assert first == InputMessage(
        "input:1", "Subject: ü\r\n\r\nText\r\n".encode(), "a@b.test", "harbor", "m@d.test",
        datetime(2026, 11, 1, 8, tzinfo=UTC), "k1",
    )  # fmt: skip
    assert second.source == "input:3"
    assert b"multipart/alternative" in second.content
    assert b"\n" not in second.content.replace(b"\r\n", b"")
    assert _read(octets)[1].content == second.content


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('{"content": "x", "colour": "red"}', "colour: unknown field; allowed here: recipient"),
        ('{"content": 5}', "content: 5: must be text"),
        ("[1]", "must be a JSON object"),
        ("{", "not JSON"),
        ('{"recipient": "a@b.test"}', "needs one of content, content_base64 and text"),
        ('{"content": "x", "text": "y"}', "needs one of"),
        ('{"text": "y"}', "recipient and subject are required with text"),
        ('{"content": "x", "not_before": "tomorrow"}', "not_before: 'tomorrow': must be a time"),
        ('{"content": "x", "not_before": "2026-11-01T09:00:00"}', "must be a time with its offset"),
        ('{"content_base64": "%"}', "content_base64:"),
        ('{"recipient": "a@b", "subject": "x\\ny", "text": ""}', "linefeed"),
    ],
)
def test_a_bad_line_is_named_with_what_is_allowed(line: str, words: str) -> None:
    with pytest.raises(InputError) as refused:
        _read(b"\n" + line.encode(), "jsonl")
    assert str(refused.value).startswith("input:2: ")
    assert words in str(refused.value)


def test_a_folder_is_read_in_the_order_of_names_and_other_files_are_left_alone(
    tmp_path: Path,
) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "two.eml").write_bytes(b"Subject: 2\n\n")
    (tmp_path / "a.mbox").write_bytes(b"From x\nSubject: 1\n\n\n")
    (tmp_path / "notes.txt").write_bytes(b"not mail")
    (tmp_path / "c.jsonl").write_text('{"content": "Subject: 3\\n\\n"}\n')
    found = list(read_path(tmp_path))
    assert [each.source for each in found] == ["a.mbox:1", "b/two.eml", "c.jsonl:1"]
    assert [each.content[:10] for each in found] == [b"Subject: 1", b"Subject: 2", b"Subject: 3"]


def test_inputs_that_hold_nothing_are_errors(tmp_path: Path) -> None:
    for what, words in (
        (tmp_path, "no file below it ends in .eml"),
        (tmp_path / "nowhere.eml", "cannot read it: No such file"),
    ):
        with pytest.raises(InputError, match=words):
            list(read_path(what))
    with pytest.raises(InputError, match="is empty"):
        _read(b"")
    with pytest.raises(InputError, match="an mbox begins with a line"):
        _read(b"Subject: x\n", "mbox")


def test_a_large_input_is_read_in_little_memory() -> None:
    message = [b"From x\n", b"Subject: s\n", b"\n", *[b"x" * 76 + b"\n"] * 100, b"\n"]

    class Endless:
        """15 MB of mbox, made as it is read."""

        def __iter__(self) -> Iterator[bytes]:
            return itertools.chain.from_iterable(itertools.repeat(message, 2000))

    tracemalloc.start()
    count = sum(1 for _ in read_stream(Endless(), "input"))  # type: ignore[arg-type]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 2000
    assert peak < 1_000_000


_PLAIN = InputMessage("x.eml", b"To: A <a@b.test>, c@d.test\r\nCc: a@b.test\r\n\r\n")


def test_each_recipient_gets_a_message_of_their_own() -> None:
    messages = list(outgoing([_PLAIN], Choices(client="harbor")))
    assert [each.recipient for each in messages] == ["a@b.test", "c@d.test"]
    assert len({each.key for each in messages}) == 2
    chosen = list(outgoing([_PLAIN], Choices(client="harbor", recipients=("z@z.test",))))
    assert [each.recipient for each in chosen] == ["z@z.test"]


def test_a_derived_key_is_the_same_for_the_same_message_and_no_other() -> None:
    def key(choices: Choices, message: InputMessage = _PLAIN) -> str:
        return next(outgoing([message], choices)).key

    base = Choices(client="harbor")
    others = [
        key(Choices(client="alpine")),
        key(Choices(client="harbor", mailbox="m@d.test")),
        key(Choices(client="harbor", recipients=("z@z.test",))),
        key(Choices(client="harbor", not_before=datetime.now(UTC) + timedelta(days=1))),
        key(Choices(client="harbor", again="november")),
        key(base, InputMessage("x.eml", _PLAIN.content + b"more\r\n")),
    ]
    assert key(base) == key(base, InputMessage("elsewhere.eml", _PLAIN.content))
    assert len({key(base), *others}) == 7
    assert len(key(base)) <= 200


def test_a_key_that_came_with_the_input_is_kept() -> None:
    given_key = InputMessage("x", b"\r\n", "a@b.test", "harbor", idempotency_key="k1")
    assert next(outgoing([given_key], Choices())).key == "k1"
    two = Choices(recipients=("a@b.test", "c@d.test"))
    assert [each.key for each in outgoing([given_key], two)] == ["k1/a@b.test", "k1/c@d.test"]


def test_mail_of_nobody_or_to_nobody_is_refused() -> None:
    with pytest.raises(InputError, match="--client says it"):
        next(outgoing([_PLAIN], Choices()))
    with pytest.raises(InputError, match="--to says it"):
        next(outgoing([InputMessage("x", b"Subject: s\r\n\r\n")], Choices(client="harbor")))
