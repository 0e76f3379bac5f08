"""Which nodes' specs a plan changes, so that their wanted generation rises with it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from controller.fleet.plan import Action, Change
from controller.fleet.rows import DomainRow, EgressRow, FleetRows, MailboxRow, NodeRow


@dataclass(frozen=True)
class Affected:
    """Nodes that hold one of `egress_ids`, and `node_ids`; or simply all of them."""

    all_nodes: bool = False
    egress_ids: frozenset[str] = frozenset()
    node_ids: frozenset[str] = frozenset()


def affected(changes: Iterable[Change], wanted: FleetRows) -> Affected:
    """What these changes change on nodes. New nodes begin with a generation of their own."""
    all_nodes = False
    egress_ids: set[str] = set()
    node_ids: set[str] = set()
    selectors: set[str] = set()
    for change in changes:
        if change.kind == "fleet":
            all_nodes = change.action is Action.CHANGE
        elif change.kind == "node" and _hostname_changed(change):
            node_ids.add(change.id)
        elif change.kind == "domain" and _key_changed(change):
            selectors.add(change.id)
        else:
            egress_ids.update(_egresses(change))
    if selectors:
        egress_ids.update(
            box.egress_id for box in wanted.mailboxes.values() if box.domain in selectors
        )
    return Affected(all_nodes, frozenset(egress_ids), frozenset(node_ids))


def _hostname_changed(change: Change) -> bool:
    before, after = change.before, change.after
    return (
        isinstance(before, NodeRow)
        and isinstance(after, NodeRow)
        and before.hostname != after.hostname
    )


def _key_changed(change: Change) -> bool:
    before, after = change.before, change.after
    return (
        isinstance(before, DomainRow)
        and isinstance(after, DomainRow)
        and before.dkim_selector != after.dkim_selector
    )


def _egresses(change: Change) -> Iterator[str]:
    before, after = change.before, change.after
    if change.kind == "mailbox":
        old = before.egress_id if isinstance(before, MailboxRow) else None
        new = after.egress_id if isinstance(after, MailboxRow) else None
        if old != new:
            yield from (each for each in (old, new) if each is not None)
    elif change.kind == "egress" and change.action is Action.REMOVE:
        # It may still be assigned to a node that has not begun to use it.
        yield change.id
    elif (
        change.action is Action.CHANGE
        and isinstance(before, EgressRow)
        and isinstance(after, EgressRow)
        # What an operator notes about it is not in the spec.
        and replace(before, region=None, warming="") != replace(after, region=None, warming="")
    ):
        yield change.id
