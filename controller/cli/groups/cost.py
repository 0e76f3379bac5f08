"""postfleet cost: what a fleet costs, from its inventory alone."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from controller.cli.command import Session

_GROWN = (33, 5000)

Files = Annotated[
    list[Path] | None,
    typer.Argument(metavar="FILE", help="Inventories, side by side [the reference fleet, and "
                                        "the same with 5,000 mailboxes on 33 nodes]"),
]  # fmt: skip
Delivered = Annotated[
    int | None,
    typer.Option("--delivered", min=1, metavar="N",
                 help="Messages delivered in a month [what the caps allow]"),
]  # fmt: skip


def cost(session: Session, files: Files = None, delivered: Delivered = None) -> None:
    """Say what a fleet costs a month, by part, and per 1,000 messages. Asks no controller.

    Prices are the inventory's: monthly_cost_eur of each node, and fleet.costs.
    """
    from controller.cli.output import print_json
    from inventory.cost import bill

    bills = [bill(each, delivered) for each in _inventories(files or [])]
    if session.json:
        print_json([_data(each) for each in bills])
        return
    _print(bills, delivered)


def _inventories(files: list[Path]) -> list[Any]:
    from controller.cli.exits import Exit
    from controller.cli.failure import Failure
    from inventory.errors import InventoryError
    from inventory.load import load, parse
    from inventory.reference import render

    if not files:
        nodes, mailboxes = _GROWN
        grown = parse(render(nodes, mailboxes, settings={"name": "grown"}), "grown")
        return [parse(render(), "reference").inventory, grown.inventory]
    try:
        return [load(file).inventory for file in files]
    except InventoryError as error:
        raise Failure(Exit.REFUSED, str(error)) from None
    except OSError as error:
        raise Failure(Exit.REFUSED, f"cannot read {error.filename}: {error.strerror}") from None


def _data(each: Any) -> dict[str, Any]:
    return {
        "fleet": each.fleet,
        "mailboxes": each.mailboxes,
        "parts": [vars(part) for part in each.parts],
        "monthly_eur": round(each.monthly_eur, 2),
        "messages_a_month": each.messages,
        "per_thousand_eur": each.per_thousand_eur,
    }


def _print(bills: list[Any], delivered: int | None) -> None:
    from controller.cli.output import number, print_table

    rows = [
        [name, *(f"{part.monthly_eur:,.2f}  ({part.count:,})" for part in same)]
        for name, same in (
            (parts[0].name, parts) for parts in zip(*(each.parts for each in bills), strict=True)
        )
    ]
    rows.append(["together", *(f"{each.monthly_eur:,.2f}" for each in bills)])
    volume = "delivered" if delivered else "allowed by the caps"
    rows.append([f"messages {volume}", *(number(each.messages) for each in bills)])
    rows.append(["per 1,000", *(_per_thousand(each.per_thousand_eur) for each in bills)])
    heads = [f"#{each.fleet}, {each.mailboxes:,} mailboxes" for each in bills]
    print_table(["euros a month", *heads], rows)


def _per_thousand(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
