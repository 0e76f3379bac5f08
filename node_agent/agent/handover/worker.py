"""Hands due messages over to Postfix, a batch at a time, over a connection of its own.

Each batch: take what is due and allowed, mark it `handing` on disk, offer it to Postfix, write the
results down. Whatever cannot be known goes to the evidence; nothing is guessed.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import structlog

from node_agent.agent import clock, metrics
from node_agent.agent.backoff import delay_s
from node_agent.agent.errors import EvidenceError, IntakeError
from node_agent.agent.handover.evidence import Evidence
from node_agent.agent.handover.intake import Ending, IntakeConnection, Letter, Result
from node_agent.agent.handover.results import judge
from node_agent.agent.handover.waiting import Waiting, WaitingRoom
from node_agent.agent.lifecycle import State
from node_agent.agent.right import Right
from node_agent.agent.spool.messages import SpooledMessage
from node_agent.agent.spool.spool import Learned, Spool
from node_agent.agent.verp import with_token

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 10.0
# Of one message that Postfix put off (4yz), e.g. because opendkim is down.
FIRST_RETRY_S = 2.0
LONGEST_RETRY_S = 300.0
# No connection is used for longer, and none for a second batch while Postfix is reloaded
# (docs/decisions/0026): master(8) can come to believe that the smtpd behind it is free, and until
# that one ends nobody else gets one.
LONGEST_USE_S = 2.0

_log = structlog.get_logger("hand-over")


@dataclass(slots=True)
class Trouble:
    """Shared by all workers: while Postfix takes nothing, they try one message at a time."""

    failures: int = 0
    dice: random.Random = field(default_factory=random.Random)

    def pause_s(self) -> float:
        """How long to wait after the failure just counted."""
        return delay_s(self.failures, FIRST_PAUSE_S, LONGEST_PAUSE_S, self.dice)


class HandOver:
    """`connections` workers over one waiting room."""

    def __init__(
        self,
        spool: Spool,
        room: WaitingRoom,
        right: Right,
        intake: tuple[str, int],
        batch: int,
        on_learned: Callable[[list[Learned]], Awaitable[None]],
    ) -> None:
        self._spool = spool
        self._room = room
        self._right = right
        self._intake = intake
        self._batch = batch
        self._on_learned = on_learned
        self._trouble = Trouble()
        # How often Postfix put a message off, of those that wait for their next try.
        self._put_off: dict[str, int] = {}
        self._stopping = False
        # How many reloads of Postfix are under way.
        self._reloads = 0
        self._wake = asyncio.Event()
        self._ports: set[int] = set()
        # Egress ids of messages between take() and their result.
        self._under_way: dict[str, str] = {}
        self.evidence: Evidence | None = None

    def own_ports(self) -> frozenset[int]:
        """Local ports of the connections in use."""
        return frozenset(self._ports)

    def wake(self) -> None:
        """Something changed: new messages, a lease, a suspension's end."""
        self._wake.set()

    def stop(self) -> None:
        """End after the batches under way."""
        self._stopping = True
        self.wake()

    @contextmanager
    def while_postfix_reloads(self) -> Iterator[None]:
        """Connections are used for one batch only."""
        self._reloads += 1
        self.wake()
        try:
            yield
        finally:
            self._reloads -= 1

    def busy(self, egress_ids: frozenset[str]) -> frozenset[str]:
        """Those of which a message is between spool and Postfix at the moment."""
        return egress_ids & frozenset(self._under_way.values())

    def put_in_room(self, message: SpooledMessage, due_ms: int | None = None) -> None:
        """A stored message waits for its time."""
        self._room.add(
            Waiting(
                message.id,
                message.mailbox,
                message.egress_id,
                message.epoch,
                message.not_before_ms if due_ms is None else due_ms,
            )
        )
        self.wake()

    async def work(self) -> None:
        """One worker; returns after `stop`."""
        connection: IntakeConnection | None = None
        try:
            while not self._stopping:
                taken = self._take()
                if not taken:
                    connection = await self._not_too_old(connection)
                    await self._wait()
                    continue
                connection = await self._deliver(await self._not_too_old(connection), taken)
        finally:
            if connection is not None:
                await self._let_go(connection)

    def _may(self, mailbox: str, egress_id: str, epoch: int) -> bool:
        return (
            self._right.why_not(mailbox, egress_id, epoch, clock.boottime_ns(), clock.wall_ms())
            is None
        )

    def _fleet_ms(self) -> int:
        return self._right.fleet_ms(clock.boottime_ns())

    def _take(self) -> list[Waiting]:
        most = 1 if self._trouble.failures else self._batch
        taken = self._room.take(self._fleet_ms(), self._may, most)
        for waiting in taken:
            self._under_way[waiting.id] = waiting.egress_id
        return taken

    async def _wait(self) -> None:
        due_ms = self._room.next_due_ms(self._may)
        seconds = 1.0 if due_ms is None else (due_ms - self._fleet_ms()) / 1000
        self._wake.clear()
        try:
            await asyncio.wait_for(self._wake.wait(), min(max(seconds, 0.005), 1.0))
        except TimeoutError:
            return

    async def _deliver(
        self, connection: IntakeConnection | None, taken: list[Waiting]
    ) -> IntakeConnection | None:
        """One batch, from the waiting room to its results on disk."""
        fresh = connection is None
        try:
            if connection is None:
                connection = await self._connect()
        except IntakeError as error:
            for waiting in taken:
                self._room.add(waiting)
            self._end_of(taken)
            await self._pause(str(error))
            return None
        began = time.monotonic()
        marked_ms = clock.wall_ms()
        try:
            marked = await self._spool.mark_handing([w.id for w in taken])
            put_off = await self._offer(connection, marked, marked_ms, fresh)
        finally:
            self._end_of(taken)
        metrics.HAND_OVER_SECONDS.observe(time.monotonic() - began)
        if put_off:
            # smtpd asks a milter that failed, and reads its tables anew, in the next session only.
            await self._let_go(connection)
            return None
        return connection

    async def _offer(
        self,
        connection: IntakeConnection,
        marked: list[tuple[SpooledMessage, bytes]],
        marked_ms: int,
        fresh: bool,
    ) -> bool:
        """Whether Postfix put something off. `fresh`: nothing went over the connection before."""
        by_id = {message.id: message for message, _ in marked}
        letters = [
            Letter(m.id, with_token(m.mailbox, m.id), m.recipient, content) for m, content in marked
        ]
        results = [r async for r in connection.hand_over(letters, self._still_may(by_id))]
        if not connection.usable:
            # From now on Postfix's end of it counts as a leftover.
            self._ports.discard(connection.local_port)
        for result in results:
            metrics.HAND_OVERS.labels(result.ending.value).inc()
        judgement = judge(results, clock.wall_ms())
        await self._on_learned(await self._spool.learn(judgement.facts))
        for message_id in judgement.not_sent:
            self.put_in_room(by_id[message_id])
        if judgement.unknown:
            await self._resolve(judgement.unknown, by_id, marked_ms)
        await self._after(results, [by_id[i] for i in judgement.deferred], fresh)
        return bool(judgement.deferred)

    def _still_may(self, by_id: dict[str, SpooledMessage]) -> Callable[[Letter], bool]:
        def may(letter: Letter) -> bool:
            message = by_id[letter.message_id]
            return self._may(message.mailbox, message.egress_id, message.epoch)

        return may

    async def _after(
        self, results: list[Result], deferred: list[SpooledMessage], fresh: bool
    ) -> None:
        """Count trouble, wait with it, and let deferred messages wait longer each time."""
        for result in results:
            if result.ending in (Ending.QUEUED, Ending.REFUSED):
                self._trouble.failures = 0
                self._put_off.pop(result.message_id, None)
        if not fresh:
            # What a milter that was started anew does to old sessions: a new one will show.
            for message in deferred:
                self.put_in_room(message)
            return
        for message in deferred:
            times = self._put_off[message.id] = self._put_off.get(message.id, 0) + 1
            wait_s = delay_s(times, FIRST_RETRY_S, LONGEST_RETRY_S, self._trouble.dice)
            self.put_in_room(message, self._fleet_ms() + int(wait_s * 1000))
        if deferred and len(deferred) == len(results):
            await self._pause(str(results[-1].reply))

    async def _pause(self, why: str) -> None:
        self._trouble.failures += 1
        pause_s = self._trouble.pause_s()
        _log.warning("intake-trouble", why=why, failures=self._trouble.failures, pause_s=pause_s)
        deadline = time.monotonic() + pause_s
        while not self._stopping and (left := deadline - time.monotonic()) > 0:
            await asyncio.sleep(min(left, 0.2))

    async def _resolve(
        self, unknown: list[str], by_id: dict[str, SpooledMessage], marked_ms: int
    ) -> None:
        """Ask the evidence until it answers; those that are not in Postfix wait again."""
        assert self.evidence is not None
        failures = 0
        while not self._stopping:
            try:
                learned = await self.evidence.resolve(unknown, marked_ms)
            except EvidenceError as error:
                failures += 1
                _log.warning("no-evidence", why=str(error), messages=len(unknown))
                await asyncio.sleep(delay_s(failures, 1.0, 30.0, self._trouble.dice))
                continue
            await self._on_learned(learned)
            stored = {fact.message_id for fact in learned if fact.step.state is State.STORED}
            for message_id in stored:
                self.put_in_room(by_id[message_id])
            return

    async def _connect(self) -> IntakeConnection:
        connection = await IntakeConnection.open(*self._intake, "postfleet-agent.localhost")
        self._ports.add(connection.local_port)
        return connection

    async def _not_too_old(self, connection: IntakeConnection | None) -> IntakeConnection | None:
        """The connection, where it can be used further; else it is closed."""
        if connection is not None and (
            not connection.usable or self._reloads or connection.age_s > LONGEST_USE_S
        ):
            await self._let_go(connection)
            return None
        return connection

    async def _let_go(self, connection: IntakeConnection) -> None:
        port = connection.local_port
        if connection.usable:
            await connection.quit()
        self._ports.discard(port)

    def _end_of(self, taken: list[Waiting]) -> None:
        for waiting in taken:
            self._under_way.pop(waiting.id, None)
