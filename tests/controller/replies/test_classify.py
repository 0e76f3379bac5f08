"""Every registered status code has a meaning; words overrule codes; blocks never end an address."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.replies import Class, Reply, Scope, Speaker, classify, read_reply
from controller.replies.meanings import meanings, registry


def test_every_registered_code_has_a_meaning_and_nothing_else_has() -> None:
    import tomllib
    from importlib.resources import files

    text = files("controller.replies").joinpath("meanings.toml").read_text()
    assert set(tomllib.loads(text)["codes"]) == {row["Code"] for row in registry()}


def test_the_registry_is_whole() -> None:
    """As many details of each subject as IANA has, without holes, in its order."""
    details: dict[int, list[int]] = {}
    for row in registry():
        _, subject, detail = row["Code"].split(".")
        details.setdefault(int(subject), []).append(int(detail))
    assert {s: max(d) for s, d in details.items()} == {
        0: 0, 1: 10, 2: 4, 3: 6, 4: 7, 5: 6, 6: 10, 7: 30
    }  # fmt: skip
    for subject, numbers in details.items():
        assert numbers == list(range(len(numbers))), f"X.{subject} has a hole"


def test_what_rfc_3463_enumerates_is_there_under_its_name() -> None:
    """Section 3 of the RFC, of which the registry is the continuation."""
    from_rfc = {
        row["Code"]: row["Sample Text"] for row in registry() if row["Reference"] == "RFC 3463"
    }
    last_of_subject = {0: 0, 1: 8, 2: 4, 3: 5, 4: 7, 5: 5, 6: 5, 7: 7}
    enumerated = {f"X.{s}.{d}" for s, last in last_of_subject.items() for d in range(last + 1)}
    assert enumerated == set(from_rfc)
    assert from_rfc["X.1.1"] == "Bad destination mailbox address"
    assert from_rfc["X.2.2"] == "Mailbox full"
    assert from_rfc["X.7.1"] == "Delivery not authorized, message refused"


def test_every_subject_of_rfc_3463_has_a_fallback() -> None:
    assert sorted(meanings().subjects) == list("01234567")


def test_every_basic_code_the_registry_names_has_a_meaning() -> None:
    named = {code for each in meanings().codes.values() for code in each.basic}
    failures = {code for code in named if 400 <= code < 600}
    # Reply codes of drafts that never became standards; the registry still lists them.
    assert failures - set(meanings().basic) == {422, 430, 458, 459, 533}


@pytest.mark.parametrize(
    ("words", "scope", "permanent"),
    [
        ("550 5.1.1 The email account that you tried to reach does not exist", "recipient", True),
        ("450 4.1.1 <a@x.test>: Recipient address rejected: unverified", "recipient", False),
        ("556 5.1.10 Domain does not accept mail", "recipient", True),
        ("550 5.2.1 The email account that you tried to reach is inactive", "recipient", True),
        ("552 5.2.2 <a@icloud.com>: user is over quota", "capacity", False),
        ("452 4.2.2 The recipient's inbox is out of storage space", "capacity", False),
        ("550 5.7.26 Your email has been blocked because the sender is unauthenticated",
         "policy", True),
        ("421 4.7.28 Gmail has detected an unusual rate of unsolicited mail", "reputation", False),
        ("552 5.3.4 Your message exceeded Google's message size limits", "content", True),
        ("451 4.4.2 Timeout - closing connection", "network", False),
        ("550 5.7.606 Access denied, banned sending IP [198.51.100.7]", "reputation", True),
        ("550 5.1.90 Your message can't be sent because you've reached your daily limit",
         "unknown", True),
        # Without enhanced codes.
        ("550 Requested action not taken: mailbox unavailable", "recipient", True),
        ("550 No", "unknown", True),
        ("554 Transaction failed", "unknown", True),
        ("451 Internal resource temporarily unavailable", "capacity", False),
        ("556 no mail here", "recipient", True),
        # Words against the code.
        ("550 5.1.1 Rejected, 198.51.100.7 is listed by Spamhaus zen", "reputation", True),
        ("550 5.1.1 Relay access denied", "policy", True),
        ("550 5.5.0 Requested action not taken: mailbox unavailable (S2017062302).",
         "recipient", True),
        ("550 5.4.1 Recipient address rejected: Access denied. [x.prod.protection.outlook.com]",
         "recipient", True),
        ("550 5.1.1 user is over quota", "capacity", False),
        ("554 5.7.9 delivery error: dd This user doesn't have an account", "recipient", True),
        ("550 5.1.1 <virus@x.test>: user unknown", "recipient", True),
        ("550 5.1.1 <spamhaus@x.test> dmarc@x.test no such user", "recipient", True),
    ],
)  # fmt: skip
def test_what_a_reply_means(words: str, scope: str, permanent: bool) -> None:
    found = classify(read_reply(words))
    assert (found.scope, found.permanent) == (scope, permanent), found.why


def test_postfix_speaks_for_itself_by_the_status_it_gave() -> None:
    found = classify(Reply(Speaker.POSTFIX, 0, "5.4.4", "Host or domain name not found."))
    assert (found.klass, found.scope) == (Class.PERMANENT, Scope.NETWORK)
    assert not found.ends_recipient
    blamed = Reply(Speaker.POSTFIX, 0, "4.4.1", "connect to mx.spamhaus.test: timed out")
    assert classify(blamed).scope is Scope.NETWORK


_CODES = st.sampled_from(sorted(meanings().codes)) | st.from_regex(
    r"[0-9]\.[0-9]{1,3}", fullmatch=True
)
_BLOCKS = st.sampled_from(
    [word for sign in meanings().signs if sign.scope is Scope.REPUTATION for word in sign.words]
)


@given(st.integers(400, 599), _CODES, _BLOCKS, st.sampled_from(["user unknown", "mailbox full"]))
def test_a_reply_that_names_a_block_never_ends_an_address(
    code: int, detail: str, block: str, more: str
) -> None:
    reply = Reply(Speaker.RECEIVER, code, f"{str(code)[0]}.{detail}", f"{more}; {block}")
    assert not classify(reply).ends_recipient


@given(st.integers(200, 499), _CODES, st.text(max_size=80))
def test_only_a_permanent_reply_ends_an_address(code: int, detail: str, text: str) -> None:
    reply = Reply(Speaker.RECEIVER, code, f"{str(code)[0]}.{detail}", text)
    assert not classify(reply).ends_recipient


def test_words_are_small_letters_and_no_scope_contradicts_itself() -> None:
    for sign in meanings().signs:
        assert all(word == word.lower() for word in sign.words)
        assert sign.scope not in sign.overrules
