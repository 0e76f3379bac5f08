"""A whole simulation, in parts."""

from __future__ import annotations

from collections.abc import Callable

from controller.simulation.cores import on_cores
from controller.simulation.parts import parts, together
from controller.simulation.run import run
from controller.simulation.scenario import Scenario
from controller.simulation.series import Foresight
from inventory.schema import Inventory

# Days of mailboxes from which on it is worth a second to begin other processes.
_WORTH_IT = 20_000


def simulate(
    inventory: Inventory,
    scenario: Scenario,
    days: int,
    seed: int = 1,
    progressed: Callable[[int], None] = lambda _: None,
    cores: int = 1,
) -> Foresight:
    """The same inventory, scenario, days and seed give the same result, on however many cores.

    `progressed` hears of days that are over.
    """
    each = parts(inventory, scenario)
    mailboxes = sum(len(domain.mailboxes) for domain in inventory.domains)
    if cores > 1 and len(each) > 1 and mailboxes * days >= _WORTH_IT:
        found = on_cores(each, days, seed, progressed, cores)
    else:
        found = []
        for number, part in enumerate(each):
            before = number * days
            found.append(
                run(*part, days, seed, lambda day: progressed((before + day) // len(each)))  # noqa: B023
            )
    return together(found, inventory, scenario)
