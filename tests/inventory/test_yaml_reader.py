"""YAML is read strictly and means what YAML 1.2 says."""

from __future__ import annotations

import re

import yaml
from hypothesis import given
from hypothesis import strategies as st

from inventory.yaml_reader import lines_of, read

# A float of 1.1 has a point, so its writer leaves these bare.
_NUMBER_IN_1_2_ONLY = re.compile(r"[-+]?[0-9]+[eE][-+]?[0-9]+")
_PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**12), 10**12)
    | st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"])).filter(
        lambda text: not _NUMBER_IN_1_2_ONLY.fullmatch(text)
    ),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abc", min_size=1), inner),
    max_leaves=20,
)


@given(_PLAIN)
def test_what_a_writer_quotes_comes_back(data: object) -> None:
    # The writer follows YAML 1.1: but for a number like 0E0 it quotes more than 1.2 needs.
    reading = read(yaml.safe_dump(data, allow_unicode=True))
    assert reading.data == data
    assert reading.problems == []


@given(st.text())
def test_no_text_makes_the_reader_fall_over(text: str) -> None:
    read(text)


def test_plain_words_mean_what_yaml_1_2_says() -> None:
    text = "[no, on, 010, 12:30, 1_000, 0x10, 2026-11-01, 1.5, -3, ~, true, 'true', '', .inf]"
    assert read(text).data == [
        "no", "on", 10, "12:30", "1_000", "0x10", "2026-11-01", 1.5, -3, None, True, "true", "",
        ".inf",
    ]  # fmt: skip


def test_lines_of_nested_paths_and_of_what_is_missing() -> None:
    text = "a:\n  - x: 1\n    y: 2\n  - x: 3\nb: {c: {d: 4}}\n"
    wanted = [("a", 0, "y"), ("a", 1), ("a", 1, "y"), ("b", "c", "d"), ("z",)]
    assert lines_of(text, wanted) == {
        ("a", 0, "y"): 3,
        ("a", 1): 4,
        ("a", 1, "y"): 4,
        ("b", "c", "d"): 5,
        ("z",): 1,
    }


def test_aliases_that_grow_exponentially_are_shared_not_copied() -> None:
    text = "a0: &a0 [x, x]\n"
    for level in range(1, 60):
        text += f"a{level}: &a{level} [*a{level - 1}, *a{level - 1}]\n"
    assert len(read(text).data) == 60  # type: ignore[arg-type]
