"""The invariants of DESIGN, looked at after each step from outside: true time, all nodes, all that
receivers saw."""

from __future__ import annotations

from collections import Counter

from controller.message_life import State
from node_agent.agent.lifecycle import FINAL
from node_agent.agent.lifecycle import State as Kept
from node_agent.agent.spool import outbox
from tests.whole.fleet import Fleet
from tests.whole.tables import CAP, ON_NODE, Message

_LONGEST_LOG = 10**6
_AT_HAND = (Kept.STORED, Kept.HANDING, Kept.QUEUED, Kept.RECALLING)


def violations(fleet: Fleet) -> list[str]:
    """What is hurt, in words."""
    return [*_two_senders(fleet), *_stops(fleet), *_messages(fleet), *_caps(fleet)]


def _two_senders(fleet: Fleet) -> list[str]:
    """Also where the second has not begun yet, but would be let out."""
    may = Counter(
        egress
        for node in fleet.nodes.values()
        for egress in fleet.egresses
        if egress in node.postfix.delivering.values()
        or node.gateway.may_open(egress, node.clock_ns(fleet.now_ms)) is None
    )
    return [f"{egress} is open to two nodes" for egress, number in may.items() if number > 1]


def _stops(fleet: Fleet) -> list[str]:
    return [f"{egress} went out while suspended" for egress in fleet.not_stopped]


def _messages(fleet: Fleet) -> list[str]:
    found = [f"{token} was sent {n} times" for token, n in fleet.delivered.items() if n > 1]
    at_hand = Counter(row.id for node in fleet.nodes.values() for row in node.rows(*_AT_HAND))
    for token, number in at_hand.items():
        free = fleet.tables.messages[token].state in (State.ACCEPTED, State.SCHEDULED)
        if number + free > 1:
            found.append(f"{token} is in two places")
    for message in fleet.tables.messages.values():
        wrong = _wrong_with(fleet, message)
        if wrong:
            found.append(f"{message.id} {wrong}")
    return found


def _wrong_with(fleet: Fleet, message: Message) -> str:
    delivered, asked = fleet.delivered[message.id], fleet.asked[message.id]
    if message.state is State.SENT and not delivered:
        return "counts as sent and was not"
    if message.state is State.BOUNCED and message.id not in fleet.turned_down:
        return "counts as bounced and was not"
    if message.state is State.CANCELLED and delivered and not message.was_uncertain:
        return "counts as cancelled and was sent"
    if message.attempts > asked + (message.id in fleet.guarded):
        return "counts more attempts than were made"
    if message.state in ON_NODE and message.stored and _is_lost(fleet, message):
        return "is lost: nobody has it, nobody will tell"
    return ""


def _is_lost(fleet: Fleet, message: Message) -> bool:
    """The controller believes it on a node; does the node have it, or a word on it to tell?"""
    node = fleet.nodes[message.node or ""]
    if node.spool_id != fleet.tables.leases[node.name].spool_id:
        return False  # Its disk is lost, which the controller will learn from its Hello.
    row = node.db.execute(
        "SELECT state, queue_id FROM message WHERE id = ?", (message.id,)
    ).fetchone()
    if row is None:
        return True
    state, queue_id = Kept(row[0]), row[1]
    untold = any(
        event.message_id == message.id and (node.spool_id, event.seq) not in fleet.tables.events
        for event in outbox.after(node.db, 0, _LONGEST_LOG, _LONGEST_LOG)
    )
    if state in FINAL or state is Kept.UNCERTAIN:
        return not untold
    unread = node.postfix.log[node.log_read() :]
    return (
        state is Kept.QUEUED
        and queue_id not in node.postfix.queue
        and not any(entry.queue_id == queue_id for entry in unread)
    )


def _caps(fleet: Fleet) -> list[str]:
    spent: Counter[str] = Counter()
    for message in fleet.tables.messages.values():
        counts = (State.SCHEDULED, *ON_NODE, State.UNCERTAIN)
        spent[message.egress] += fleet.asked[message.id] > 0 or message.state in counts
    return [f"{e} has {n} of {CAP} messages a day" for e, n in spent.items() if n > CAP]
