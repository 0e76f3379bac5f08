"""Recall as the simulation plays it: the order of node_agent.agent.recall.recaller, step by step.

Each `yield` is a place where the agent may be killed, Postfix may go on, and time may pass. What
decides is the real code: the rules of recall and the spool.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from node_agent.agent.lifecycle import FactKind
from node_agent.agent.lifecycle import State as Kept
from node_agent.agent.recall import rules
from node_agent.agent.spool import messages
from node_agent.agent.spool.messages import InPostfix
from tests.whole.bugs import Bug
from tests.whole.node import Node

Chosen = Callable[[InPostfix], bool]
BACKOFF_S = (1, 1)


def sweep(node: Node, clock_ns: Callable[[], int]) -> Iterator[None]:
    """Finishes what a crash left, recalls what is not this node's to send, lets go what is."""

    def is_here(message: InPostfix) -> bool | None:
        return node.right.holds(message.egress_id, clock_ns())

    yield from _delete(node)
    queued = messages.in_postfix(node.db)
    stray = {m.id for m in queued if is_here(m) is False}
    if stray:
        yield from recall(node, lambda m: m.id in stray)
    if any(m.held and is_here(m) for m in queued):
        yield from _let_go(node, is_here)


def recall(node: Node, chosen: Chosen) -> Iterator[None]:
    """One round for the chosen of the queued."""
    wanted = [m for m in messages.in_postfix(node.db) if chosen(m)]
    asked = rules.to_hold(wanted, node.postfix.look(), node.postfix.reports)
    if not asked:
        return
    messages.mark_held(node.db, asked.values(), held=True)
    yield
    node.postfix.hold_waiting(asked)
    yield
    view = node.postfix.look()
    yield
    node.follow(len(node.postfix.log))
    queued = messages.in_postfix(node.db)
    if node.bug is Bug.RECALLED_IN_FLIGHT:
        for message in queued:
            node.db.execute("UPDATE message SET in_flight = 0 WHERE id = ?", (message.id,))
        queued = messages.in_postfix(node.db)
    facts = rules.to_recall(queued, asked, view, 0, 0, BACKOFF_S)
    if node.bug is Bug.RECALL_NOT_NOTED:
        node.postfix.delete_held(fact.queue_id for _, fact in facts)
        yield
    node.learn(facts)
    yield
    yield from _delete(node)


def _delete(node: Node) -> Iterator[None]:
    recalling = node.rows(Kept.RECALLING)
    if not recalling:
        return
    guarded = dict(node.postfix.reports)
    node.postfix.delete_held(m.queue_id for m in recalling if m.queue_id not in guarded)
    yield
    view = node.postfix.look()
    yield
    node.follow(len(node.postfix.log))
    facts = rules.after_delete([m.id for m in recalling], view, guarded, 0)
    node.learn(facts)
    node.recalled += sum(fact.kind is FactKind.RECALLED for _, fact in facts)


def _let_go(node: Node, is_here: Callable[[InPostfix], bool | None]) -> Iterator[None]:
    view = node.postfix.look()
    yield
    node.follow(len(node.postfix.log))
    here = [m for m in messages.in_postfix(node.db) if m.held and is_here(m)]
    idle = [m for m in here if not m.in_flight and m.queue_id not in node.postfix.reports]
    node.postfix.unhold(m.queue_id for m in idle if m.queue_id in view.held)
    yield
    messages.mark_held(node.db, [m.id for m in idle], held=False)
