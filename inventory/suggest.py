"""Find what somebody probably meant."""

from __future__ import annotations

from collections.abc import Collection
from difflib import get_close_matches

# Comparing against 100,000 names takes seconds, and a message needs one.
_MOST_COMPARED = 20_000


def did_you_mean(wrong: object, known: Collection[str]) -> str:
    """`; did you mean 'acme'?` where one of `known` is close to `wrong`, else nothing."""
    if not isinstance(wrong, str) or len(known) > _MOST_COMPARED:
        return ""
    close = get_close_matches(wrong, sorted(known), n=1, cutoff=0.6)
    return f"; did you mean {close[0]!r}?" if close else ""
