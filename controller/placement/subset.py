"""The cheapest set of egresses that frees enough room: subset sum, exact."""

from __future__ import annotations

from collections.abc import Sequence

from controller.placement.model import EgressView


def cheapest(candidates: Sequence[EgressView], least: int) -> list[EgressView] | None:
    """Egresses whose mailboxes together are at least `least` and otherwise as few as possible.

    None where all together do not suffice. Of equally cheap sets, one made of early candidates.
    Empty egresses never help and are never taken. Time: candidates times the answer.
    """
    if least <= 0:
        return []
    # For each reachable sum the last candidate taken and the sum before it; sums at or above
    # `least` need no further candidate.
    reached: dict[int, tuple[int, int]] = {0: (-1, 0)}
    for index, egress in enumerate(candidates):
        size = egress.mailboxes
        if size <= 0:
            continue
        for total in [t for t in reached if t < least and t + size not in reached]:
            reached[total + size] = (index, total)
        if least in reached:
            break
    enough = [total for total in reached if total >= least]
    if not enough:
        return None
    chosen, total = [], min(enough)
    while total > 0:
        index, total = reached[total]
        chosen.append(candidates[index])
    return chosen[::-1]
