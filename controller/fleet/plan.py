"""What has to change so that the fleet becomes what the inventory says. Pure, no I/O.

`plan(current, wanted, in_use)` answers ordered changes: what is depended on comes first (a client
before its domain, a mailbox's move before its old egress's removal). What cannot be done now
without losing mail is a refusal with its reason; with refusals nothing of the plan is applied.
`plan(x, x)` is empty but for egresses whose retirement is over.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from typing import Any

from controller.fleet.rows import EgressRow, FleetRows, MailboxRow, Row, Secret


class Action(StrEnum):
    """What happens to a row. `RETIRE`: an egress that a node holds is given back first."""

    ADD = "add"
    CHANGE = "change"
    REMOVE = "remove"
    RETIRE = "retire"


@dataclass(frozen=True)
class Change:
    """One row's change. `details` are for people and never hold a secret."""

    action: Action
    # fleet, client, domain, egress, mailbox, node
    kind: str
    id: str
    before: Row | None = None
    after: Row | None = None
    details: tuple[str, ...] = ()


@dataclass(frozen=True)
class InUse:
    """What holds things where they are. Messages are those without a final state."""

    messages_of_mailbox: Mapping[str, int] = field(default_factory=dict)
    # Of these, those that a node has or is getting.
    messages_on_nodes_of_mailbox: Mapping[str, int] = field(default_factory=dict)
    # Accepted for the client, with no mailbox chosen yet.
    messages_of_client: Mapping[str, int] = field(default_factory=dict)
    messages_of_egress: Mapping[str, int] = field(default_factory=dict)
    messages_on_node: Mapping[str, int] = field(default_factory=dict)
    # Egress -> node that has it or is giving it back.
    holder_of_egress: Mapping[str, str] = field(default_factory=dict)
    # Nodes that were enrolled and not decommissioned.
    nodes_in_service: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Plan:
    """Ordered changes, and what stands against them."""

    changes: tuple[Change, ...]
    refusals: tuple[str, ...] = ()


_KINDS = ("client", "domain", "egress", "mailbox", "node")


def plan(current: FleetRows, wanted: FleetRows, in_use: InUse | None = None) -> Plan:
    """Compares two fleets."""
    in_use = in_use or InUse()
    changes = list(_settings(current, wanted))
    changes += _removals("mailbox", current, wanted, in_use)
    for kind in _KINDS:
        changes += _additions_and_changes(kind, current, wanted)
    for kind in ("egress", "domain", "client", "node"):
        changes += _removals(kind, current, wanted, in_use)
    refusals = [reason for change in changes for reason in _refusals(change, in_use)]
    refusals += _exits_still_held(changes, current, in_use)
    return Plan(tuple(changes), tuple(refusals))


def rows_of(fleet: FleetRows, kind: str) -> Mapping[str, Row]:
    """One kind's rows by id."""
    rows: Mapping[str, Row] = getattr(fleet, f"{kind}es" if kind[-1] in "sx" else f"{kind}s")
    return rows


def _settings(current: FleetRows, wanted: FleetRows) -> Iterator[Change]:
    if current.fleet == wanted.fleet or wanted.fleet is None:
        return
    name = str(wanted.fleet.value["name"])
    if current.fleet is None:
        yield Change(Action.ADD, "fleet", name, after=wanted.fleet)
        return
    before, after = dict(_flat(current.fleet.value)), dict(_flat(wanted.fleet.value))
    details = tuple(
        f"{key}: {_shown(before.get(key))} -> {_shown(after.get(key))}"
        for key in {**before, **after}
        if before.get(key) != after.get(key)
    )
    yield Change(Action.CHANGE, "fleet", name, current.fleet, wanted.fleet, details)


def _flat(settings: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in settings.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value


def _removals(kind: str, current: FleetRows, wanted: FleetRows, in_use: InUse) -> Iterator[Change]:
    keep = rows_of(wanted, kind)
    for id_, row in rows_of(current, kind).items():
        if id_ in keep:
            continue
        if not isinstance(row, EgressRow):
            yield Change(Action.REMOVE, kind, id_, before=row)
            continue
        holder = in_use.holder_of_egress.get(id_)
        if holder is None:
            yield Change(Action.REMOVE, kind, id_, before=row)
        elif not row.retired:
            detail = (
                f"node {holder} holds it: it is given back first, and removed by the next apply"
            )
            yield Change(Action.RETIRE, kind, id_, row, replace(row, retired=True), (detail,))


def _additions_and_changes(kind: str, current: FleetRows, wanted: FleetRows) -> Iterator[Change]:
    old = rows_of(current, kind)
    for id_, row in rows_of(wanted, kind).items():
        before = old.get(id_)
        if before is None:
            yield Change(Action.ADD, kind, id_, after=row, details=tuple(_summary(row)))
        elif before != row:
            yield Change(Action.CHANGE, kind, id_, before, row, tuple(_difference(before, row)))


def _difference(before: Row, after: Row) -> Iterator[str]:
    for each in fields(before):
        old, new = getattr(before, each.name), getattr(after, each.name)
        if old == new:
            continue
        if isinstance(old, Secret) or isinstance(new, Secret):
            yield f"{each.name}: changed"
        else:
            yield f"{each.name}: {_shown(old)} -> {_shown(new)}"


def _summary(row: Row) -> Iterator[str]:
    """What a reader wants to know of a new row."""
    if isinstance(row, EgressRow):
        where = f"{row.host}:{row.port}" if row.kind == "socks5" else f"on node {row.only_node}"
        yield f"{row.kind} {where}, public IP {row.public_ip}, EHLO {row.helo_name}"
    elif isinstance(row, MailboxRow):
        yield f"through egress {row.egress_id}"


def _shown(value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return str(value)


def _refusals(change: Change, in_use: InUse) -> Iterator[str]:
    """Why this change must not be made now."""
    subject = f"{change.kind} {change.id}"
    if change.kind == "mailbox":
        before, after = change.before, change.after
        open_ = in_use.messages_of_mailbox.get(change.id, 0)
        on_nodes = in_use.messages_on_nodes_of_mailbox.get(change.id, 0)
        if change.action is Action.REMOVE and open_:
            yield _unfinished(subject, "removed", open_)
        elif isinstance(before, MailboxRow) and isinstance(after, MailboxRow):
            if before.client_id != after.client_id and open_:
                yield _unfinished(subject, "given to another client", open_)
            elif before.egress_id != after.egress_id and on_nodes:
                yield _unfinished(subject, f"moved to egress {after.egress_id}", on_nodes)
    elif change.kind == "client" and change.action is Action.REMOVE:
        if waiting := in_use.messages_of_client.get(change.id, 0):
            yield _unfinished(subject, "removed", waiting)
    elif change.kind == "egress":
        open_ = in_use.messages_of_egress.get(change.id, 0)
        moved = isinstance(change.before, EgressRow) and isinstance(change.after, EgressRow)
        if change.action in (Action.REMOVE, Action.RETIRE) and open_:
            yield _unfinished(subject, "removed", open_)
        elif moved and change.before.client_id != change.after.client_id and open_:  # type: ignore[union-attr]
            yield _unfinished(subject, "given to another client", open_)
    elif change.kind == "node" and change.action is Action.REMOVE:
        yield from _node_refusals(change.id, in_use)


def _exits_still_held(changes: list[Change], current: FleetRows, in_use: InUse) -> Iterator[str]:
    """A public IP must not be on two nodes, so it is free when its egress was given back."""
    retiring: dict[str, EgressRow] = {
        each.id: each for each in current.egresses.values() if each.retired
    }
    retiring |= {
        change.id: change.before
        for change in changes
        if change.action is Action.RETIRE and isinstance(change.before, EgressRow)
    }
    held = {
        value: row.id
        for row in retiring.values()
        if row.id in in_use.holder_of_egress
        for value in (row.public_ip, row.helo_name)
    }
    for change in changes:
        row = change.after
        if change.action is Action.RETIRE or not isinstance(row, EgressRow):
            continue
        for value in (row.public_ip, row.helo_name):
            if held.get(value, row.id) != row.id:
                node = in_use.holder_of_egress[held[value]]
                yield (
                    f"egress {row.id} cannot have {value}: egress {held[value]} has it, and node "
                    f"{node} has not given that back. Apply an inventory with neither of them "
                    "first, and this one when `postfleet egress list` shows it free"
                )


def _node_refusals(node: str, in_use: InUse) -> Iterator[str]:
    held = sum(holder == node for holder in in_use.holder_of_egress.values())
    if node in in_use.nodes_in_service or held:
        what = f"it holds {held} egresses" if held else "it is in service"
        yield (
            f"node {node} cannot be removed: {what}. Take it out of service first: "
            f"postfleet node decommission {node}"
        )
    elif messages := in_use.messages_on_node.get(node, 0):
        yield _unfinished(f"node {node}", "removed", messages)


def _unfinished(subject: str, done: str, messages: int) -> str:
    return (
        f"{subject} cannot be {done}: {messages:,} "
        f"{'message is' if messages == 1 else 'messages are'} not finished. "
        "Apply again when they are, or cancel them"
    )
