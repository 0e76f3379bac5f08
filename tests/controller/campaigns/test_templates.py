"""A template ends, whatever stands in it; and it says what is wrong, and where."""

from __future__ import annotations

import contextlib
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.campaigns.bounds import MOST_CHARACTERS
from controller.campaigns.templates import Complaint, Part

_ROW = {"name": "<Ann>", "tags": ["a", "b"]}
_ENDLESS = {
    "a long loop": "{% for a in range(900) %}{% for b in range(900) %}{% endfor %}{% endfor %}",
    "a huge range": "{{ range(10**9) }}",
    "a macro without end": "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    "a macro that doubles":
        "{% macro m(n) %}{% if n %}{{ m(n-1) }}{{ m(n-1) }}{% endif %}{% endmacro %}{{ m(40) }}",
    "a repeated text": "{{ 'x' * 10**9 }}",
    "a repeated list": "{{ [1] * 10**9 }}",
    "a doubled text": "{% set x = 'ab' %}" + "{% set x = x ~ x %}" * 40 + "{{ x }}",
    "a doubled sum": "{% set x = 'ab' %}" + "{% set x = x + x %}" * 40 + "{{ x }}",
    "a doubled list": "{% set x = ['a'] %}" + "{% set x = x + x %}" * 40,
    "a doubled block":
        "{% set x = 'ab' %}" + "{% set x %}{{ x }}{{ x }}{% endset %}" * 40 + "{{ x }}",
    "a doubled join": "{% set x = 'ab' %}" + "{% set x = [x, x]|join %}" * 40 + "{{ x }}",
    "replace upon replace":
        "{% set x = 'a' * 1000 %}" + "{% set x = x|replace('a', x) %}" * 4 + "{{ x }}",
    "a tall power": "{{ 10 ** 10 ** 10 }}",
    "squares": "{% set x = 9 %}" + "{% set x = x * x %}" * 60 + "{{ x }}",
    "padding by %": "{{ '%1000000000d' % 1 }}",
    "padding by format": "{{ '{:1000000000}'.format(1) }}",
    "octets of a number": "{{ (5).to_bytes(1000000000) }}",
    "a way to Python": "{{ name.__class__.__mro__ }}",
    "recursion in a loop":
        "{% for x in [tags] recursive %}{{ loop([tags]) }}{% endfor %}",
}  # fmt: skip


@pytest.mark.parametrize("html", [False, True], ids=["text", "html"])
@pytest.mark.parametrize("what", _ENDLESS)
def test_a_template_that_would_not_end_ends_with_a_complaint(what: str, html: bool) -> None:
    begun = time.monotonic()
    with pytest.raises(Complaint, match=r"^text"):
        Part(_ENDLESS[what], "text", html=html).render(_ROW)
    assert time.monotonic() - begun < 5


def test_a_loop_that_is_too_long_is_named_with_its_line() -> None:
    part = Part("one\ntwo\n{% for a in range(999) %}{% for b in range(999) %}\n{% endfor %}"
                "{% endfor %}", "text.txt")  # fmt: skip
    with pytest.raises(Complaint, match=r"^text\.txt, line 3: it takes more than 10,000 turns"):
        part.render(_ROW)
    # The budget is a message's, not the template's.
    small = Part("{% for a in range(900) %}{% endfor %}", "text")
    for _ in range(30):
        small.render(_ROW)


def test_what_a_row_lacks_is_named() -> None:
    with pytest.raises(Complaint, match=r"^text, line 2: 'city' is undefined"):
        Part("a\n{{ city }}", "text").render(_ROW)
    assert Part("{{ city|default('there') }}", "text").render(_ROW) == "there"


def test_html_is_escaped_and_text_is_not() -> None:
    assert Part("{{ name }}{{ name ~ '&' }}", "t").render(_ROW) == "<Ann><Ann>&"
    escaped = Part("{{ name }}{{ tags|join('<') }}", "t", html=True).render(_ROW)
    assert escaped == "&lt;Ann&gt;a&lt;b"
    assert Part("{{ name|e ~ '<b>'|safe }}", "t", html=True).render(_ROW) == "&lt;Ann&gt;<b>"


def test_ordinary_templates_do_what_they_say() -> None:
    source = (
        "{% for t in tags %}{{ loop.index }}{{ t|upper }}{{ ', ' if not loop.last }}{% endfor %}"
        "{% set n = 2 %}{{ n * 3 + 1 }}{{ name.strip('<>').lower() }}{{ tags|length }}"
    )
    assert Part(source, "t").render(_ROW) == "1A, 2B7ann2"


def test_unknown_columns_are_those_that_nothing_defines() -> None:
    part = Part("{% set a = b %}\n{% for c in d %}{{ c }}{{ a }}{{ loop.index }}{{ range(1) }}"
                "{% endfor %}", "text")  # fmt: skip
    found = part.unknown({"b", "dd"})
    assert [str(each) for each in found] == [
        "text, line 2: unknown column 'd'; did you mean 'dd'?; the columns are b, dd"
    ]


_PIECES = st.sampled_from([
    "{% set x = x ~ x %}", "{% set x = x + x %}", "{% set x = [x, x]|join(x) %}",
    "{% set x = x|replace('a', x) %}", "{% set x = x * 99 %}", "{% set x = x|e|string %}",
    "{% set x %}{{ x }}{{ x }}{% endset %}", "{% for i in range(99) %}{{ x }}{% endfor %}",
    "{% set x = x|list|join(x) %}", "{% set x = x|urlencode %}", "{{ x }}",
    "{% set x = x|map('upper')|join %}", "{% set x = x|title %}",
])  # fmt: skip


@settings(max_examples=80, deadline=None)
@given(st.lists(_PIECES, max_size=30), st.booleans())
def test_however_it_grows_it_stays_within_bounds(pieces: list[str], html: bool) -> None:
    part = Part("{% set x = 'a&' %}" + "".join(pieces) + "{{ x }}", "text", html=html)
    begun = time.monotonic()
    with contextlib.suppress(Complaint):
        assert len(part.render({})) <= MOST_CHARACTERS
    assert time.monotonic() - begun < 10
