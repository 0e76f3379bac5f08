"""Decides by evidence what became of messages whose hand-over was cut off.

In this order, because each step closes a gap of the one before:
  1. the intake works on none of our lost connections any more: nothing new can come from them;
  2. what is in Postfix's queue now, it has;
  3. what left the queue before that look has its lines in the log already: read it to its end.
What neither names was never accepted and may be handed over again. Where the log has lost lines
since the message was marked, its silence proves nothing: the message becomes uncertain.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import structlog

from node_agent.agent import clock, queue_view
from node_agent.agent.errors import EvidenceError
from node_agent.agent.handover import leftovers
from node_agent.agent.lifecycle import Fact, FactKind, State
from node_agent.agent.maillog.follower import LogFollower
from node_agent.agent.spool.messages import SpooledMessage
from node_agent.agent.spool.spool import Learned, Spool

# smtpd(8) ends a session whose client is gone when cleanup(8) answered; milters may be slow.
DRAIN_TIMEOUT_S = 300.0
DRAIN_POLL_S = 0.2
# Where the kernel's table cannot be read, wait this long instead.
BLIND_DRAIN_S = 30.0

_log = structlog.get_logger("evidence")


def in_queue(ids: Iterable[str], queued: Mapping[str, str], now_ms: int) -> list[tuple[str, Fact]]:
    """Facts for those of `ids` that the queue names (queue id to message id). Pure."""
    wanted = set(ids)
    return [
        (
            message_id,
            Fact(
                FactKind.SEEN,
                now_ms,
                queue_id=queue_id,
                reason="found in Postfix's queue after the hand-over was cut off",
            ),
        )
        for queue_id, message_id in queued.items()
        if message_id in wanted
    ]


def absent(
    messages: Iterable[SpooledMessage], gap_ms: int, marked_ms: int, now_ms: int
) -> list[tuple[str, Fact]]:
    """Facts for messages that neither queue nor log names. Pure.

    `gap_ms`: when the log lost lines last; `marked_ms`: when the earliest of them was marked.
    """
    if gap_ms and gap_ms >= marked_ms:
        fact = Fact(
            FactKind.UNCERTAIN,
            now_ms,
            reason="the hand-over was cut off and Postfix's log has lost lines since",
        )
    else:
        fact = Fact(FactKind.PUT_BACK, now_ms)
    return [(message.id, fact) for message in messages]


class Evidence:
    """Looks at intake, queue and log of this node."""

    def __init__(
        self,
        spool: Spool,
        follower: LogFollower,
        postqueue: Sequence[str],
        intake_port: int,
        own_ports: Callable[[], frozenset[int]],
    ) -> None:
        self._spool = spool
        self._follower = follower
        self._postqueue = postqueue
        self._intake_port = intake_port
        self._own_ports = own_ports

    async def resolve(self, ids: Sequence[str], marked_ms: int) -> list[Learned]:
        """Decide for messages in `handing`, all marked at or after `marked_ms`.

        Raises EvidenceError where something could not be looked at: nothing is decided then.
        """
        await self._drained()
        view = await queue_view.look(self._postqueue)
        learned = await self._spool.learn(in_queue(ids, view.messages, clock.wall_ms()))
        await self._follower.catch_up()
        wanted = set(ids)
        left = [m for m in await self._spool.in_states(State.HANDING) if m.id in wanted]
        learned += await self._spool.learn(
            absent(left, self._follower.gap_ms, marked_ms, clock.wall_ms())
        )
        _log.info("hand-over-resolved", asked=len(ids), not_in_postfix=len(left))
        return learned

    async def _drained(self) -> None:
        try:
            async with asyncio.timeout(DRAIN_TIMEOUT_S):
                while leftovers.peers_at_work(
                    leftovers.read_table(), self._intake_port, self._own_ports()
                ):
                    await asyncio.sleep(DRAIN_POLL_S)
                # cleanup(8) may outlive a killed smtpd(8) by a moment.
                await asyncio.sleep(DRAIN_POLL_S)
        except TimeoutError as error:
            raise EvidenceError(
                f"Postfix still works on a lost connection after {DRAIN_TIMEOUT_S:g} s"
            ) from error
        except OSError as error:
            _log.warning("no-socket-table", path=str(Path("/proc/net/tcp")), error=str(error))
            await asyncio.sleep(BLIND_DRAIN_S)
