"""Write the changes of a plan, in their order, within the caller's transaction."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any

from controller.fleet.plan import Action, Change
from controller.fleet.rows import EgressRow, SettingsRow
from controller.keys.sealing import Sealer, proxy_password_row
from controller.store import Transaction, queries
from controller.store.queries import Query

_SQL = queries.load("inventory")


async def write_changes(tx: Transaction, sealer: Sealer, changes: Iterable[Change]) -> None:
    """Each run of changes of one kind goes to the server together."""
    for (action, kind), run in groupby(changes, key=lambda change: (change.action, change.kind)):
        group = list(run)
        if action is Action.REMOVE:
            await _remove(tx, kind, [change.id for change in group])
        elif action is Action.RETIRE:
            for name in ("retire_egress", "release_egress"):
                await tx.execute_many(_SQL[name], [{"id": change.id} for change in group])
        else:
            rows = await asyncio.to_thread(_all_parameters, group, sealer)
            await tx.execute_many(_put(action, kind), rows)


def _put(action: Action, kind: str) -> Query:
    if kind == "egress":
        return _SQL["add_egress" if action is Action.ADD else "change_egress"]
    return _SQL["put_settings" if kind == "fleet" else f"put_{kind}"]


def _all_parameters(changes: list[Change], sealer: Sealer) -> list[dict[str, Any]]:
    return [_parameters(change, sealer) for change in changes]


def _parameters(change: Change, sealer: Sealer) -> dict[str, Any]:
    row = change.after
    assert row is not None
    if isinstance(row, SettingsRow):
        return {"value": dict(row.value)}
    parameters = dict(vars(row))
    if isinstance(row, EgressRow):
        del parameters["password"], parameters["retired"]
        before = change.before
        keep = isinstance(before, EgressRow) and before.password == row.password
        parameters["sealed_password"] = None
        if row.password is not None and not keep:
            secret = row.password.value.encode()
            parameters["sealed_password"] = sealer.seal(secret, proxy_password_row(row.id))
        if change.action is Action.CHANGE:
            parameters["keep_password"] = keep
    return parameters


async def _remove(tx: Transaction, kind: str, ids: list[str]) -> None:
    rows = [{"id": each} for each in ids]
    if kind == "client":
        await tx.execute_many(_SQL["retire_client"], rows)
    elif kind == "egress":
        await tx.execute_many(_SQL["withdraw_egress"], rows)
    elif kind == "node":
        await tx.execute_many(_SQL["unassign_node"], rows)
    await tx.execute_many(_SQL[f"remove_{kind}"], rows)
    if kind != "node":
        await tx.execute_many(_SQL["drop_suspensions"], list(_suspensions(kind, ids)))


def _suspensions(kind: str, ids: list[str]) -> Iterator[dict[str, str]]:
    for each in ids:
        yield {"scope": kind, "id": each}
