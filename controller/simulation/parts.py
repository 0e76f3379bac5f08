"""A simulation client by client, so that each can have a core of its own. Pure.

Clients share neither mailboxes, domains and egresses nor any limit, and receivers think of domains
and egresses; so what becomes of the mail of one changes nothing for another's. Where warm-up mail
goes across clients, they are one part.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields

from controller.simulation.campaigns import client_of, shares
from controller.simulation.scenario import Campaign, Scenario
from controller.simulation.series import DayLine, Foresight
from inventory.cost import bill
from inventory.schema import Inventory

Part = tuple[Inventory, Scenario]


def parts(inventory: Inventory, scenario: Scenario) -> list[Part]:
    """Which can be reckoned apart; together they are the whole."""
    if inventory.fleet.warm_up.across_clients:
        return [(inventory, scenario)]
    found = []
    for client in inventory.clients:
        own = {
            "clients": [client],
            "domains": [each for each in inventory.domains if each.client == client.id],
            "egresses": [each for each in inventory.egresses if each.client == client.id],
        }
        campaigns = tuple(_campaigns(inventory, scenario, client.id))
        found.append(
            (
                inventory.model_copy(update=own),
                scenario.model_copy(update={"campaigns": campaigns}),
            )
        )
    return found


def _campaigns(inventory: Inventory, scenario: Scenario, client: str) -> Iterator[Campaign]:
    """Those of one client, with as many recipients as it has of them."""
    clients = [each.id for each in inventory.clients]
    mailboxes = dict.fromkeys(clients, 0)
    for domain in inventory.domains:
        mailboxes[domain.client] += len(domain.mailboxes)
    for plan in scenario.campaigns:
        recipients = plan.recipients
        if plan.client == "*":
            given = shares(list(mailboxes.values()), plan.recipients)
            recipients = dict(zip(clients, given, strict=True))[client]
        elif client_of(plan.client, clients) != client:
            continue
        if recipients:
            yield plan.model_copy(update={"client": client, "recipients": recipients})


def together(found: Sequence[Foresight], inventory: Inventory, scenario: Scenario) -> Foresight:
    """One result of those of all parts, which are in the order of `parts`."""
    first = found[0]
    names = [plan.name for plan in scenario.campaigns]
    courses = [course for each in found for course in each.campaigns]
    return Foresight(
        first.scenario,
        first.seed,
        sum(each.mailboxes for each in found),
        [_sum(lines) for lines in zip(*(each.days for each in found), strict=True)],
        sorted(
            (pause for each in found for pause in each.pauses),
            key=lambda pause: (pause.at, pause.scope, pause.subject),
        ),
        # Sorting keeps the order of clients.
        sorted(courses, key=lambda course: names.index(course.plan.name)),
        sum(each.cap_violations for each in found),
        [violation for each in found for violation in each.violations],
        bill(inventory).monthly_eur,
    )


def _sum(lines: Sequence[DayLine]) -> DayLine:
    """Of one day."""
    whole = DayLine(lines[0].number, lines[0].date)
    for line in lines:
        for field in fields(DayLine):
            if field.name not in ("number", "date"):
                mine, more = getattr(whole, field.name), getattr(line, field.name)
                setattr(whole, field.name, mine + more)
    return whole
