"""Every shipped rule is proved by real replies, and none hides another."""

from __future__ import annotations

import re

import pytest

from controller.providers.table import open_table
from controller.replies import classify, read_reply
from controller.shaping.book import Placed, open_book
from controller.shaping.proof import problems
from controller.shaping.reference import PAGE, page

BOOK = open_book(None, open_table().names)


def test_they_hold() -> None:
    assert [str(problem) for problem in problems(BOOK)] == []


@pytest.mark.parametrize("placed", BOOK.rules, ids=lambda placed: placed.rule.name)
def test_a_rule_says_where_its_words_are_from(placed: Placed) -> None:
    assert placed.rule.source
    assert placed.rule.samples
    assert placed.rule.near_misses


@pytest.mark.parametrize("placed", BOOK.rules, ids=lambda placed: placed.rule.name)
def test_what_a_rule_is_about_is_never_an_address(placed: Placed) -> None:
    """A rule speaks of senders and receivers; should one of its replies suppress a recipient, the
    classifier or the rule is wrong."""
    for sample in placed.rule.samples:
        assert not classify(read_reply(sample)).ends_recipient, sample


@pytest.mark.parametrize(
    "receiver",
    ["google", "microsoft", "yahoo", "apple", "mailru", "yandex", "gmx", "proofpoint", "mimecast",
     "barracuda"],
)  # fmt: skip
def test_every_large_receiver_has_rules(receiver: str) -> None:
    assert any(receiver in placed.rule.provider for placed in BOOK.rules)
    assert receiver in open_table().names


def test_the_page_lists_what_there_is() -> None:
    assert PAGE.read_text() == page(), "run ./run docs"
    for placed in BOOK.rules:
        assert f"`{placed.rule.name}`" in PAGE.read_text()


def test_the_receivers_of_the_lab_are_understood() -> None:
    """The lab's receivers speak as the real ones do; what they say fires what it should."""
    from lab.receivers.replies import NAMED

    found = {}
    for name, said in NAMED.items():
        reply = read_reply(re.sub(r"\r\n", " ", said.render()))
        rule = BOOK.first(reply, name.partition(".")[0])
        found[name] = rule.name if rule else None
    assert found["google.rate"] == "google-unusual-rate"
    assert found["google.unauthenticated"] == "google-unauthenticated"
    assert found["microsoft.rate"] == "microsoft-rate-limited"
    assert found["microsoft.blocked"] == "microsoft-banned"
    assert found["microsoft.busy"] == "microsoft-busy"
    assert found["yahoo.deferred"] == "yahoo-deferred"
    assert found["greylisted"] == "greylisting"
    assert found["google.no-such-user"] is None
