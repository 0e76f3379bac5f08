"""How receivers decide."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from lab.receivers.decide import Cut, Memory, Transaction, decide, follow_ups
from lab.receivers.errors import RulesError
from lab.receivers.replies import Reply, reply_named
from lab.receivers.rules import Rules

WHO = Transaction("google", "198.51.100.7", "ann+0abc@acme.test", "bob@google.test")


def rules(*entries: dict[str, object]) -> Rules:
    return Rules.model_validate({"rules": entries})


def code_at(rule_set: Rules, memory: Memory, now: float, who: Transaction = WHO) -> int | None:
    answer = decide(rule_set, "rcpt", who, memory, now).answer
    return answer.code if isinstance(answer, Reply) else None


def test_without_rules_everything_is_accepted() -> None:
    assert decide(Rules(), "rcpt", WHO, Memory(), 0).answer is None


def test_a_greylisted_sender_gets_through_after_the_delay_whatever_its_verp_tag() -> None:
    grey = rules({"action": {"kind": "greylist", "delay_s": 20}})
    memory = Memory()
    assert code_at(grey, memory, 100) == 450
    assert code_at(grey, memory, 119.9) == 450
    other_tag = Transaction(WHO.provider, WHO.source, "ann+1xyz@acme.test", WHO.recipient)
    assert code_at(grey, memory, 120, other_tag) is None
    other_source = Transaction(WHO.provider, "198.51.100.8", WHO.sender, WHO.recipient)
    assert code_at(grey, memory, 120, other_source) == 450


def test_a_rate_holds_per_source_and_recovers() -> None:
    rate = rules({"action": {"kind": "rate", "messages": 2, "per_s": 10, "reply": "google.rate"}})
    memory = Memory()
    assert [code_at(rate, memory, t) for t in (0, 1, 2, 9.9)] == [None, None, 421, 421]
    assert code_at(rate, memory, 10) is None
    assert code_at(rate, memory, 10.1) == 421


def test_a_limited_reply_speaks_only_the_first_times() -> None:
    twice = rules({"action": {"kind": "reply", "reply": "plain.busy", "times": 2}})
    memory = Memory()
    assert [code_at(twice, memory, t) for t in range(3)] == [451, 451, None]


def test_accept_ends_the_search_and_order_counts() -> None:
    entries = (
        {"recipient": "bob@*", "action": {"kind": "accept"}},
        {"action": {"kind": "reply", "reply": "550 5.1.1 no"}},
    )
    assert code_at(rules(*entries), Memory(), 0) is None
    assert code_at(rules(*reversed(entries)), Memory(), 0) == 550


def test_stalls_add_up_and_let_the_next_rule_speak() -> None:
    slow = rules(
        {"action": {"kind": "stall", "stage": "dot", "seconds": 3}},
        {"action": {"kind": "stall", "stage": "dot", "seconds": 4}},
        {"action": {"kind": "drop", "stage": "dot", "keep": False}},
    )
    decision = decide(slow, "dot", WHO, Memory(), 0)
    assert decision.stall_s == 7
    assert decision.answer == Cut(100, keep=False)
    assert decide(slow, "rcpt", WHO, Memory(), 0).stall_s == 0


def test_what_is_sent_back_is_listed_for_accepted_mail() -> None:
    both = rules(
        {"action": {"kind": "late-dsn"}},
        {"recipient": "nobody@*", "action": {"kind": "complaint"}},
    )
    assert [action.kind for action in follow_ups(both, WHO)] == ["late-dsn"]


def test_a_reply_of_several_lines_is_rendered_as_rfc_5321_says() -> None:
    wire = reply_named("google.unauthenticated").render()
    assert wire.startswith("550-5.7.26 Your email")
    assert "\r\n550 5.7.26 Gmail" in wire


@pytest.mark.parametrize("text", ["hello", "250x", "999 4.0.0 no", ""])
def test_a_reply_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(RulesError):
        reply_named(text)
    with pytest.raises(ValidationError):
        rules({"action": {"kind": "reply", "reply": text}})
