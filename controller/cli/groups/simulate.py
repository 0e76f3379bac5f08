"""postfleet simulate: what the fleet would send in the months to come."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from controller.cli.command import Session

Days = Annotated[int, typer.Option("--days", min=1, max=3660, metavar="N", help="So many days")]
InventoryFile = Annotated[
    Path | None,
    typer.Option("--inventory", metavar="FILE", help="The fleet [the reference fleet]"),
]
ScenarioName = Annotated[
    str,
    typer.Option(
        "--scenario",
        metavar="NAME|FILE",
        help="What comes and what happens: a shipped scenario or a file of your own "
        "(docs/reference/scenario.md)",
    ),
]
Seed = Annotated[
    int, typer.Option("--seed", metavar="N", help="Of chance; the same number, the same result")
]

Plot = Annotated[
    Path | None,
    typer.Option("--plot", metavar="FILE.svg", help="Draw it, as SVG, into this file, too"),
]


def simulate(
    session: Session,
    days: Days = 90,
    inventory: InventoryFile = None,
    scenario: ScenarioName = "steady",
    seed: Seed = 1,
    plot: Plot = None,
) -> None:
    """Foresee what a fleet sends. Asks no controller, changes nothing.

    The controller's own decisions (slots, limits, warm-ups, slow-downs, breakers) in virtual time,
    against a model of receivers. Ends with 1 where a cap was passed, which a counter of its own
    watches.
    """
    from controller.cli.simulation import show

    show(session, inventory, scenario, days, seed, plot)
