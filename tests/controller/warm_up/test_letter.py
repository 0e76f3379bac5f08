"""Letters: taken by intake as they are, of natural sizes, hard to tell from other mail."""

from __future__ import annotations

import email
import email.policy
import re
from collections import Counter
from datetime import UTC, datetime
from email.message import EmailMessage
from statistics import median

from hypothesis import given
from hypothesis import strategies as st

from controller.intake.content import parse
from controller.warm_up.letter import Earlier, Person, letter
from controller.warm_up.phrases import phrases
from controller.warm_up.text import own_words, subject
from controller.warm_up.threads import length

ANN, BOB = Person("ann@acme.test", "Ann Lee"), Person("bob@beta.test", "Bob Stone")
AT = datetime(2026, 11, 26, 9, 30, tzinfo=UTC)
# What the inventory takes as a display name: anything without control characters.
names = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="".join(map(chr, range(32)))
                  + "\x7f"), min_size=1, max_size=100)  # fmt: skip
threads = st.text("0123456789abcdef", min_size=32, max_size=32)


def chain(count: int, first: Person = ANN, second: Person = BOB) -> list[Earlier]:
    both = (first, second)
    return [
        Earlier(f"<{n:026}@{both[n % 2].address.partition('@')[2]}>", both[n % 2], AT)
        for n in range(count)
    ]


def read(octets: bytes) -> EmailMessage:
    message = email.message_from_bytes(octets, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    return message


@given(threads, st.integers(0, 4), names, names)
def test_intake_takes_every_letter(thread: str, position: int, mine: str, yours: str) -> None:
    writer, recipient = Person(ANN.address, mine), Person(BOB.address, yours)
    octets = letter(thread, chain(position, recipient, writer), writer, recipient)
    content = parse(octets)
    assert content.from_address is None
    assert octets == letter(thread, chain(position, recipient, writer), writer, recipient)
    assert not {b"x-mailer", b"user-agent", b"precedence", b"auto-submitted"} & set(
        content.header.values
    )
    assert all(len(line) <= 998 for line in octets.split(b"\r\n"))


@given(threads, st.integers(1, 4))
def test_a_reply_names_the_whole_thread_before_it(thread: str, position: int) -> None:
    before = chain(position)
    first = read(letter(thread, [], ANN, BOB))
    message = read(letter(thread, before, BOB, ANN))
    assert message["In-Reply-To"] == before[-1].message_id
    assert message["References"].split() == [each.message_id for each in before]
    assert message["Subject"] == f"Re: {first['Subject']}"
    assert first["In-Reply-To"] is None
    assert first["References"] is None
    assert message["To"] == "Ann Lee <ann@acme.test>"


def test_what_is_quoted_is_what_was_said() -> None:
    quoted = 0
    for n in range(60):
        thread = f"{n:032x}"
        first = read(letter(thread, [], ANN, BOB)).get_content()
        reply = read(letter(thread, chain(1), BOB, ANN)).get_content()
        if "> " in reply:
            quoted += 1
            assert "On Thu, 26 Nov 2026 at 09:30, Ann Lee wrote:" in reply
            below = reply.replace("\r", "").partition("wrote:\n")[2]
            said = re.sub(r"^> ?", "", below, flags=re.MULTILINE)
            assert said.strip() == first.replace("\r", "").strip()
    assert 20 < quoted < 45


def test_names_beyond_ascii_arrive() -> None:
    writer = Person("zoe@acme.test", "Zoë Nuñez")
    message = read(letter("d" * 32, [], writer, Person("bob@beta.test", "Łukasz B")))
    assert "Łukasz" in str(message["To"])
    message = read(letter("e" * 32, [], Person("a@acme.test", "日本 太郎"), writer))
    assert "?" not in message.get_content().replace("?\n", "\n").replace("? ", " ")


def test_sizes_are_those_of_people() -> None:
    sizes = [
        len(own_words(f"{n:032x}", position, "Ann Lee", "Bob Stone"))
        for n in range(800)
        for position in range(length(f"{n:032x}"))
    ]
    assert 100 < median(sizes) < 400
    assert min(sizes) < 80
    assert max(sizes) > 500
    assert len(set(sizes)) > 250


def test_hardly_two_letters_are_alike() -> None:
    said = [own_words(f"{n:032x}", 0, "Ann Lee", "Bob Stone") for n in range(3000)]
    assert len(set(said)) == len(said)
    subjects = Counter(subject(f"{n:032x}") for n in range(3000))
    assert len(subjects) > 250
    assert subjects.most_common(1)[0][1] < 100
    first_lines = Counter(each.split("\n\n")[0] for each in said)
    assert first_lines.most_common(1)[0][1] < 600


@given(threads)
def test_no_sentence_of_the_topic_stands_twice_in_a_thread(thread: str) -> None:
    plain = {re.sub(r"\{\w+\}.*", "", line) for topic in phrases().topics for line in topic.lines}
    whole = "\n".join(own_words(thread, n, "Ann", "Bob") for n in range(5)).replace("\n", " ")
    for start in plain:
        if len(start) > 25:
            assert whole.count(start) <= 1


def test_phrases_are_plain_text_and_name_only_known_words() -> None:
    found = phrases()
    lines = [*found.greetings, *found.closings, *found.asides, *found.answers]
    for topic in found.topics:
        assert len(topic.lines) >= 9
        lines += [*topic.subjects, *topic.lines]
    for line in lines:
        assert line.isascii()
        assert len(line) < 120
        assert set(re.findall(r"\{(\w+)\}", line)) <= {*found.words, "name"}
    assert not any("{name}" in line for topic in found.topics for line in topic.subjects)
