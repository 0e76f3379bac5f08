"""Rule files: layers, mistakes with their lines, proof, and patterns that cannot be abused."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.replies import Reply, Speaker, read_reply
from controller.shaping.book import RuleBook, layered, open_book
from controller.shaping.proof import covers, problems
from controller.shaping.read import RuleFile, ShapingError, load, parse
from controller.shaping.rule import Rule
from controller.shaping.toml_lines import lines_of

PROVIDERS = ("google", "yahoo")
GOOD = """
[[rule]]
name = "first"
provider = ["google"]
code = [421]
text = 'too fast'
action = "slow"
per_hour = 20
why = "because"
source = ["a test"]
samples = ["421 4.7.0 much too fast for us"]
near_misses = ["421 4.7.0 too slow"]
"""


def rule(**changes: object) -> Rule:
    fields: dict[str, object] = {
        "name": "r", "code": (421,), "text": "too fast", "action": "nothing", "why": "w",
        "source": ("s",), "samples": ("421 too fast",), "near_misses": ("421 no",),
    }  # fmt: skip
    return Rule.model_validate(fields | changes)


def book(*rules: Rule) -> RuleBook:
    return layered(RuleFile("base", rules, {r.name: n for n, r in enumerate(rules, 1)}), None)


def said(found: list[object]) -> str:
    return "\n".join(map(str, found))


def test_a_rule_fires_when_all_it_names_holds() -> None:
    [first] = parse(GOOD, "f", PROVIDERS).rules
    assert first.fires(read_reply("421 4.7.0 Much TOO FAST"), "google")
    assert not first.fires(read_reply("421 4.7.0 Much too fast"), "yahoo")
    assert not first.fires(read_reply("450 4.7.0 Much too fast"), "google")
    assert not first.fires(read_reply("421 4.7.0 fine"), "google")


@pytest.mark.parametrize("speaker", [Speaker.GATEWAY, Speaker.POSTFIX, Speaker.NOBODY])
def test_only_receivers_are_heard(speaker: Speaker) -> None:
    assert not rule().fires(Reply(speaker, 421, "4.3.2", "too fast"), "google")


def test_a_wildcard_is_every_detail_of_a_subject() -> None:
    wild = rule(enhanced=("4.7.*",))
    assert wild.fires(read_reply("421 4.7.650 too fast"), "x")
    assert not wild.fires(read_reply("421 4.3.2 too fast"), "x")
    assert not wild.fires(read_reply("421 too fast"), "x")


def test_every_mistake_is_told_with_its_line() -> None:
    text = """disable = 3

[[rule]]
name = "Bad Name"
provider = ["gogle"]
code = [42]
action = "slwo"
why = "w"
source = []
samples = [
    "421 [[rule]] text = 3",
]
near_misses = ["421 no"]
colour = "red"

[[rule]]
name = "no-length"
text = '''(?=ahead)
over two lines'''
action = "suspend"
why = "w"
source = ["s"]
samples = ["421 x"]
near_misses = ["421 y"]

[[rule]]
name = "everything"
action = "nothing"
why = "w"
source = ["s"]
samples = ["421 x"]
near_misses = ["421 y"]
"""
    with pytest.raises(ShapingError) as caught:
        parse(text, "own.toml", PROVIDERS)
    lines = {(problem.line, problem.path): str(problem) for problem in caught.value.problems}
    assert "1 to 48 of a-z" in lines[4, "rule[0].name"]
    assert "did you mean 'slow'" in lines[7, "rule[0].action"]
    assert "greater than or equal to 400" in lines[6, "rule[0].code[0]"]
    assert lines[9, "rule[0].source"]
    assert "there are name" in lines[14, "rule[0].colour"]
    assert "not a pattern of RE2" in lines[18, "rule[1].text"]
    assert "match every reply" in lines[26, "rule[2]"]
    assert lines[1, "disable"]


def test_an_unknown_provider_and_a_name_twice_are_told() -> None:
    with pytest.raises(ShapingError) as caught:
        parse(GOOD.replace('["google"]', '["googel"]') + GOOD, "f", PROVIDERS)
    words = said(list(caught.value.problems))
    assert "f:4: rule[0].provider: 'googel': no such provider; did you mean 'google'?" in words
    assert "rule[1].name" in words


def test_broken_syntax_and_missing_files_are_told(tmp_path: Path) -> None:
    with pytest.raises(ShapingError, match=r"own.toml: not TOML: .*line 2"):
        parse("\n[[rule\n", "own.toml", PROVIDERS)
    with pytest.raises(ShapingError, match="No such file"):
        load(tmp_path / "none.toml", PROVIDERS)


def test_an_operators_rule_replaces_the_shipped_one_of_its_name(tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text('disable = ["greylisting"]\n' + GOOD.replace('"first"', '"google-unusual-rate"'))
    merged = open_book(own, ("google", "microsoft", "yahoo", "apple", "mailru", "yandex", "gmx",
                             "proofpoint", "mimecast", "barracuda"))  # fmt: skip
    names = [placed.rule.name for placed in merged.rules]
    assert names.index("google-unusual-rate") == names.index("google-low-reputation-of-domain") - 1
    assert names.count("google-unusual-rate") == 1
    assert {p.file for p in merged.rules if p.rule.name == "google-unusual-rate"} == {str(own)}
    assert "greylisting" not in names
    own.write_text('disable = ["graylisting"]\n')
    with pytest.raises(ShapingError, match="graylisting"):
        open_book(own, [n for p in merged.rules for n in p.rule.provider])


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ([rule(samples=("421 something else",))], "sample does not fire it"),
        ([rule(near_misses=("421 far too fast",))], "near miss fires it"),
        (
            [rule(name="wide", text="too"), rule(name="narrow", text="too fast")],
            "meets rule wide (base:1) first",
        ),
        ([rule(name="one"), rule(name="two", enhanced=("4.7.0",), samples=("421 4.7.0 too fast",))],
         "never speaks: rule one"),
        ([rule(text="connection refused")], "fires on our own gateway's greeting"),
        ([rule(samples=("421 4.3.2 postfleet: px001 lease: too fast",))], "our own gateway"),
    ],
)  # fmt: skip
def test_what_proof_finds(rules: list[Rule], words: str) -> None:
    assert words in said(list(problems(book(*rules))))


def test_rules_of_different_providers_hide_nothing() -> None:
    good = book(rule(name="a", provider=("google",)), rule(name="b", provider=("yahoo",)))
    assert problems(good) == []


_CODES = st.lists(st.sampled_from([421, 450, 550]), max_size=2, unique=True).map(tuple)
_STATUS = st.lists(st.sampled_from(["4.7.0", "4.7.1", "4.7.*"]), max_size=2, unique=True).map(tuple)
_WHO = st.lists(st.sampled_from(["google", "yahoo"]), max_size=2, unique=True).map(tuple)
_TEXT = st.sampled_from(["", "too", "too fast"])
_RULES = st.builds(
    lambda code, enhanced, provider, text: rule(
        code=code, enhanced=enhanced, provider=provider, text=text or "[a-z]"
    ),
    _CODES, _STATUS, _WHO, _TEXT,
)  # fmt: skip


@given(
    _RULES,
    _RULES,
    st.sampled_from([421, 450, 550]),
    st.sampled_from(["4.7.0", "4.7.1", ""]),
    st.sampled_from(["google", "yahoo", "x.test"]),
    st.sampled_from(["too fast", "too", "no"]),
)
def test_a_rule_that_covers_another_fires_whenever_that_one_does(
    earlier: Rule, later: Rule, code: int, enhanced: str, provider: str, text: str
) -> None:  # fmt: skip
    reply = Reply(Speaker.RECEIVER, code, enhanced, text)
    if covers(earlier, later) and later.fires(reply, provider):
        assert earlier.fires(reply, provider)


@pytest.mark.parametrize("pattern", ["(a+)+b", "(a|a)*b", "(.*)*(.*)*(.*)*x", "(a|aa)+$"])
def test_no_pattern_takes_long(pattern: str) -> None:
    """Each of these takes a backtracking matcher longer than the universe has."""
    evil = rule(text=pattern)
    began_s = time.process_time()
    for _ in range(10):
        evil.fires(Reply(Speaker.RECEIVER, 421, "", "a" * 1000 + "!"), "x")
    assert time.process_time() - began_s < 5


@pytest.mark.parametrize("pattern", [r"(?=x)", r"(a)\1", "(a{1000}){1000}", "("])
def test_what_cannot_be_matched_safely_is_no_pattern(pattern: str) -> None:
    with pytest.raises(ValueError, match="not a pattern of RE2"):
        rule(text=pattern)


@given(st.text(alphabet="[]\"'=#\n abc", max_size=200))
def test_lines_are_found_in_any_text(text: str) -> None:
    for line in lines_of(text).values():
        assert 1 <= line <= len(text.splitlines())
