"""Deletes what Postfix holds of uncertain messages about which an operator has decided.

The queue file goes first, then the spool says so, then the controller hears it: whatever is cut off
in between is asked again, and done again. Only then the message may be dispatched once more.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import structlog
from postfleet.v1 import node_pb2

from node_agent.agent import clock
from node_agent.agent.holds import MOST_AT_ONCE, Holds
from node_agent.agent.lifecycle import FINAL, Fact, FactKind, State
from node_agent.agent.spool.spool import Spool

_log = structlog.get_logger("discard")


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do about the messages asked for."""

    # message id to queue id ('' where none is known)
    delete: dict[str, str]
    # nothing is left of them here
    done: list[str]


def plan(
    asked: Iterable[node_pb2.HeldMessage],
    states: Mapping[str, State],
    uncertain: Mapping[str, str],
) -> Plan:
    """Sort what is asked for. Pure.

    `states`: of the messages that the spool has; `uncertain`: queue ids of those in that state.
    A message that is in neither list may be sent yet, and is not touched.
    """
    made = Plan({}, [])
    for one in asked:
        queue_id = uncertain.get(one.message_id)
        if queue_id is not None:
            if queue_id == one.queue_id:
                made.delete[one.message_id] = queue_id
        elif states.get(one.message_id, State.RETURNED) in FINAL:
            made.done.append(one.message_id)
    return made


class DiscardDesk:
    """Answers Discard."""

    def __init__(self, spool: Spool, holds: Holds) -> None:
        self._spool = spool
        self._holds = holds

    async def carry_out(self, discard: node_pb2.Discard) -> node_pb2.DiscardResult:
        """Do it; the answer names what is done. The rest is asked again."""
        asked = list(discard.messages)[:MOST_AT_ONCE]
        states = await self._spool.states([one.message_id for one in asked])
        uncertain = {m.id: m.queue_id for m in await self._spool.in_states(State.UNCERTAIN)}
        made = plan(asked, states, uncertain)
        queue_ids = [queue_id for queue_id in made.delete.values() if queue_id]
        if queue_ids and not await self._holds.discard(queue_ids):
            return node_pb2.DiscardResult(message_ids=made.done)
        fact = Fact(FactKind.DISCARDED, clock.wall_ms(), reason="an operator decided about it")
        await self._spool.learn([(i, fact) for i in made.delete])
        if made.delete:
            _log.info("discarded", messages=sorted(made.delete))
        return node_pb2.DiscardResult(message_ids=[*made.done, *made.delete])
