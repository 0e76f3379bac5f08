"""How much a test explores: all of it in CI, a part of it in `./run test quick`."""

from __future__ import annotations

from hypothesis import settings


def runs(full: int, quick: int) -> int:
    """`quick` under the hypothesis profile of that name, else `full`."""
    return quick if settings.get_current_profile_name() == "quick" else full
