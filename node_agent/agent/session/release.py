"""Gives egresses back, in the order of DESIGN ("A message's way"): each step ends what the next
one relies on.

  1. nothing more is taken or handed over for them, and what is under way has ended;
  2. the gateway opens nothing more for them, and its last connection has ended;
  3. the log is read to its end, so that every outcome is reported;
  4. what Postfix does not have is RETURNED, and what it has is recalled from its queue;
  5. only then: released.

Each egress goes through this as soon as it can, most of them together: one slow receiver holds one
egress up. What Postfix does not let go of within seconds is refused by the gateway and recalled
when Postfix is done with it (recall/recaller.py).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Iterable

import structlog
from postfleet.v1 import node_pb2

from node_agent.agent import clock
from node_agent.agent.errors import EvidenceError, QueueOrderError
from node_agent.agent.handover.waiting import Group, WaitingRoom
from node_agent.agent.handover.worker import HandOver
from node_agent.agent.lifecycle import Fact, FactKind
from node_agent.agent.maillog.follower import LogFollower
from node_agent.agent.recall.recaller import Recaller
from node_agent.agent.right import Right
from node_agent.agent.session.gateway_link import GatewayLink
from node_agent.agent.spool.messages import InPostfix
from node_agent.agent.spool.spool import Learned, Spool
from node_agent.local.errors import LocalError

# A running transaction may take its time; the controller asks again.
CLOSE_TIMEOUT_S = 120.0
CLOSE_POLL_S = 0.2
# Egresses that shut within this time are given back together.
GATHER_S = 1.5
# Postfix finds the gateway closed and puts off what it is delivering at once; a name server that
# does not answer takes longer.
RECALL_PATIENCE_S = 4.0
# A grant or a spec that gives waiting mail its place comes within seconds.
MISPLACED_S = 300.0

Answer = Callable[[list[node_pb2.ReleaseResult]], Awaitable[None]]

_log = structlog.get_logger("release")


class ReleaseDesk:
    """Answers Release and Cancel, and returns what a newer term left behind."""

    def __init__(
        self,
        spool: Spool,
        room: WaitingRoom,
        right: Right,
        hand_over: HandOver,
        follower: LogFollower,
        gateway: GatewayLink,
        recaller: Recaller,
        on_learned: Callable[[list[Learned]], Awaitable[None]],
    ) -> None:
        self._spool = spool
        self._room = room
        self._right = right
        self._hand_over = hand_over
        self._follower = follower
        self._gateway = gateway
        self._recaller = recaller
        self._on_learned = on_learned
        # Groups that cannot go, and since when (monotonic).
        self._misplaced: dict[Group, float] = {}

    async def begin(self, release: node_pb2.Release) -> str:
        """Shut the door for these egresses, also after a restart; '' or why not."""
        if release.epoch < self._right.highest_epoch:
            return f"term {release.epoch} is over; this is term {self._right.highest_epoch}"
        self._right.release(release.egress_ids, release.epoch)
        await self._spool.remember("released", self._right.released)
        self._gateway.changed()
        return ""

    async def finish(self, release: node_pb2.Release, answer: Answer) -> None:
        """The rest of the order; `answer` gets one result for each egress, when it has one."""
        left = frozenset(release.egress_ids)
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                still_open = await self._gateway.close(left)
                gather_until_s = time.monotonic() + GATHER_S
                while left:
                    shut = left - still_open - self._hand_over.busy(left)
                    if shut and (shut == left or time.monotonic() >= gather_until_s):
                        await self._give_back(shut, release.epoch)
                        await answer(_results(shut, release.epoch, ""))
                        left -= shut
                    else:
                        await asyncio.sleep(CLOSE_POLL_S)
                    still_open = await self._gateway.still_open(left)
        except TimeoutError:
            why_not = (
                f"not closed after {CLOSE_TIMEOUT_S:g} s: a connection or a hand-over "
                "is still under way"
            )
            await answer(_results(left, release.epoch, why_not))
        except LocalError as error:
            await answer(_results(left, release.epoch, str(error)))

    async def _give_back(self, shut: frozenset[str], epoch: int) -> None:
        """Steps 3 and 4 for egresses that nothing goes out by any more."""
        returned = await self.take_back(
            self._room.ids(lambda _, e, of_epoch: e in shut and of_epoch <= epoch),
            "its egress is given back",
        )
        _, left = await asyncio.gather(
            self._follower.catch_up(),
            self._recall(lambda m: m.egress_id in shut and m.epoch <= epoch),
        )
        _log.info("released", egresses=sorted(shut), returned=returned, still_in_postfix=left)

    async def cancel(self, message_ids: Collection[str]) -> None:
        """Take these back from the spool, or out of Postfix's queue where it is not at them."""
        await self.take_back(list(message_ids), "cancelled by the controller")
        wanted = frozenset(message_ids)
        await self._recall(lambda m: m.id in wanted)

    async def _recall(self, chosen: Callable[[InPostfix], bool]) -> int | None:
        """How many of the chosen Postfix still has; None: that cannot be told now."""
        try:
            return await self._recaller.recall(chosen, RECALL_PATIENCE_S)
        except (EvidenceError, QueueOrderError) as error:
            _log.error("not-recalled", why=str(error), hint="it is tried again until it works")
            return None

    async def take_back(self, message_ids: list[str], reason: str) -> int:
        """RETURN those that Postfix does not have; return how many."""
        fact = Fact(FactKind.TAKEN_BACK, clock.wall_ms(), reason=reason)
        learned = await self._spool.learn([(i, fact) for i in message_ids])
        returned = [fact for fact in learned if fact.step.event is not None]
        for one in returned:
            self._room.discard(one.message_id)
        await self._on_learned(learned)
        return len(returned)

    async def sweep(self) -> None:
        """RETURN what waits in vain: for a term that is over, an egress that was given back, or
        a place that lease and spec have not given it for long.
        """
        right = self._right
        await self._sweep_misplaced()
        stale = self._room.ids(
            lambda _, egress_id, epoch: (
                epoch < right.highest_epoch or right.is_released(egress_id, epoch)
            )
        )
        if stale:
            returned = await self.take_back(stale, "the term it was dispatched for is over")
            _log.info("stale-returned", messages=returned)

    async def _sweep_misplaced(self) -> None:
        now_ns, now_s = clock.boottime_ns(), time.monotonic()
        reasons: dict[Group, str] = {}
        for group, _ in self._room.groups():
            reason = self._right.why_misplaced(*group, now_ns)
            if reason is not None:
                reasons[group] = reason
        self._misplaced = {g: self._misplaced.get(g, now_s) for g in reasons}
        for group, since_s in list(self._misplaced.items()):
            if now_s - since_s >= MISPLACED_S:
                returned = await self.take_back(
                    self._room.ids(lambda *g, chosen=group: g == chosen), reasons[group]
                )
                _log.warning("misplaced-returned", messages=returned, reason=reasons[group])


def _results(egress_ids: Iterable[str], epoch: int, why_not: str) -> list[node_pb2.ReleaseResult]:
    return [
        node_pb2.ReleaseResult(
            egress_id=egress_id, epoch=epoch, released=not why_not, detail=why_not
        )
        for egress_id in sorted(egress_ids)
    ]
