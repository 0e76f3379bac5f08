"""The receivers of a scenario: the shipped ones, with what it says over them.

Shares are those of a list of business addresses in Europe and America, roughly; the rest are small
receivers that are in no table.
"""

from __future__ import annotations

from controller.providers.table import OTHER
from controller.simulation.scenario import Receiver, Scenario

SHIPPED = tuple(
    Receiver(provider=name, share_percent=share, per_egress_hour=most)
    for name, share, most in (
        ("google", 34.0, 120),
        ("microsoft", 27.0, 90),
        ("yahoo", 7.0, 60),
        ("apple", 3.0, 60),
        ("gmx", 6.0, 60),
        ("proofpoint", 4.0, 60),
        ("mimecast", 3.0, 60),
    )
)


def receivers_of(scenario: Scenario) -> dict[str, Receiver]:
    """All providers by name; their shares add up to 100."""
    found = {each.provider: each for each in SHIPPED}
    found |= {each.provider: each for each in scenario.receivers}
    rest = 100 - sum(each.share_percent for name, each in found.items() if name != OTHER)
    other = found.get(OTHER, Receiver(provider=OTHER, per_egress_hour=60))
    found[OTHER] = other.model_copy(update={"share_percent": max(0.0, rest)})
    return found
