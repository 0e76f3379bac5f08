"""What every order has in common: one transaction, a dry run, a reason that others can read.

With `dry_run` an order does all it would do, gives the same answer, and its transaction is undone:
what is refused for real is refused then too, and nobody reads a guess.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from postfleet.v1 import fleet_pb2

from controller.fleet import lists
from controller.fleet.errors import BadRequestError, NotFoundError
from controller.fleet.pages import clean
from controller.store import Row, Store, Transaction, queries

_SQL = queries.load("fleet")
_MOST_REASON = 500
T = TypeVar("T")


class _UndoError(Exception):
    """Carries a dry run's answer out of the transaction that it undoes."""

    def __init__(self, answer: object) -> None:
        super().__init__("dry run")
        self.answer = answer


async def run_order(store: Store, work: Callable[[Transaction], Awaitable[T]], dry_run: bool) -> T:
    """Runs `work` in a transaction; undone where it is a dry run."""

    async def undone(tx: Transaction) -> T:
        raise _UndoError(await work(tx))

    try:
        return await store.run(undone if dry_run else work)
    except _UndoError as undo:
        return undo.answer  # type: ignore[return-value]


def reason_given(text: str) -> str:
    """The operator's words for the audit log. Raises BadRequestError."""
    if len(text) > _MOST_REASON or not text.isprintable():
        raise BadRequestError(f"reason: one line of at most {_MOST_REASON} characters")
    return text


async def lock_node(tx: Transaction, node_id: str) -> Row:
    """The node as it stands until `tx` ends. Raises NotFoundError."""
    row = await tx.fetch_optional(_SQL["lock_node"], node_id=clean(node_id, "node_id"))
    if row is None:
        raise NotFoundError(
            f"there is no node {node_id!r} in the fleet; `postfleet node list` shows them"
        )
    return row


async def node_now(tx: Transaction, node_id: str) -> fleet_pb2.Node:
    """The node as lists show it, with what `tx` changed."""
    return (await lists.nodes(tx, fleet_pb2.ListRequest(id=node_id))).nodes[0]
