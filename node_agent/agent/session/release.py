"""Gives egresses back, in the order of DESIGN ("A message's way"): each step ends what the next
one relies on.

  1. nothing more is taken or handed over for them, and what is under way has ended;
  2. the gateway opens nothing more for them, and its last connection has ended;
  3. the log is read to its end, so that every outcome is reported;
  4. what Postfix does not have is RETURNED;
  5. only then: released.

What is in Postfix's queue stays there and is refused by the gateway, until `recall` takes it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import structlog
from postfleet.v1 import node_pb2

from node_agent.agent import clock
from node_agent.agent.handover.waiting import Group, WaitingRoom
from node_agent.agent.handover.worker import HandOver
from node_agent.agent.lifecycle import Fact, FactKind
from node_agent.agent.maillog.follower import LogFollower
from node_agent.agent.right import Right
from node_agent.agent.session.gateway_link import GatewayLink
from node_agent.agent.spool.spool import Learned, Spool
from node_agent.local.errors import LocalError

# A running transaction may take its time; the controller asks again.
CLOSE_TIMEOUT_S = 120.0
CLOSE_POLL_S = 0.2
# A grant or a spec that gives waiting mail its place comes within seconds.
MISPLACED_S = 300.0

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
        on_learned: Callable[[list[Learned]], Awaitable[None]],
    ) -> None:
        self._spool = spool
        self._room = room
        self._right = right
        self._hand_over = hand_over
        self._follower = follower
        self._gateway = gateway
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

    async def finish(self, release: node_pb2.Release) -> list[node_pb2.ReleaseResult]:
        """The rest of the order; one result for each egress."""
        egress_ids = frozenset(release.egress_ids)
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await self._hand_over.quiet(egress_ids)
                still_open = await self._gateway.close(egress_ids)
                while still_open:
                    await asyncio.sleep(CLOSE_POLL_S)
                    still_open = await self._gateway.open_connections(egress_ids)
                await self._follower.catch_up()
        except TimeoutError:
            return self._results(
                release,
                f"not closed after {CLOSE_TIMEOUT_S:g} s: a connection or a hand-over "
                "is still under way",
            )
        except LocalError as error:
            return self._results(release, str(error))
        returned = await self.take_back(
            self._room.ids(lambda _, e, epoch: e in egress_ids and epoch <= release.epoch),
            "its egress is given back",
        )
        _log.info("released", egresses=sorted(egress_ids), returned=returned)
        return self._results(release, "")

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

    def _results(self, release: node_pb2.Release, detail: str) -> list[node_pb2.ReleaseResult]:
        return [
            node_pb2.ReleaseResult(
                egress_id=egress_id, epoch=release.epoch, released=not detail, detail=detail
            )
            for egress_id in release.egress_ids
        ]
