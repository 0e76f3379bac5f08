"""The spool as the rest of the agent sees it: coroutines that return when all is on disk.

Every change of a message goes through `lifecycle.step`; every event gets its number in the same
transaction as the change it tells of. Nothing here knows Postfix or the controller.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from postfleet.v1 import node_pb2

from node_agent.agent import clock
from node_agent.agent.config import SpoolSettings
from node_agent.agent.errors import DiskFullError
from node_agent.agent.lifecycle import Entry, Fact, State, Step
from node_agent.agent.spool import database, messages, meta, outbox
from node_agent.agent.spool.messages import InPostfix, SpooledMessage
from node_agent.agent.spool.reserve import Reserve, free_octets
from node_agent.agent.spool.thread import SpoolThread

# Of 4 KiB; the next messages would need some of them anyway.
MANY_FREE_PAGES = 1000


@dataclass(frozen=True, slots=True)
class Learned:
    """A fact that was written down, and what followed from it."""

    message_id: str
    fact: Fact
    step: Step


@dataclass(frozen=True, slots=True)
class LogBatch:
    """What one stretch of the log says, in its order, and how far it goes (JSON)."""

    entries: Sequence[Entry]
    position: object


class Spool:
    """One per process; `start` before anything else."""

    def __init__(self, settings: SpoolSettings) -> None:
        self._settings = settings
        self.reserve = Reserve(settings.directory / "reserve", settings.reserve_octets)
        self._path = settings.directory / "spool.db"
        self._thread = SpoolThread(partial(database.connect, self._path), self.reserve)
        self.spool_id = ""

    async def start(self) -> None:
        """Open or make the database and the reserve. Raises SpoolError."""
        await self._thread.start()
        self.reserve.restore()
        self.spool_id = str(await self._thread.run(lambda db: meta.read(db, "spool_id")))

    async def stop(self) -> None:
        """Finish what waits and close."""
        await self._thread.stop()

    def alive(self) -> bool:
        """Whether its thread runs."""
        return self._thread.alive()

    @property
    def commits(self) -> int:
        """Transactions committed since the start."""
        return self._thread.commits

    def free_octets(self) -> int:
        """Room on the spool's file system."""
        return free_octets(self._settings.directory)

    def has_room(self, octets: int) -> bool:
        """Whether new work of this size may be taken; tries to get the reserve back."""
        room = self.free_octets() - octets >= self._settings.min_free_octets
        return room and self.reserve.restore()

    async def store(self, new: Sequence[tuple[SpooledMessage, bytes]]) -> list[SpooledMessage]:
        """Store messages; return those that were not here before. Raises DiskFullError."""
        if not self.has_room(2 * sum(len(content) for _, content in new)):
            raise DiskFullError(
                f"{self.free_octets()} octets are free where {self._settings.min_free_octets} "
                "must stay; what is stored stays and is finished"
            )
        return await self._thread.run(
            lambda db: messages.store(db, new, clock.wall_ms()), is_new_work=True
        )

    async def known(self, terms: Mapping[str, int]) -> set[str]:
        """Which of these messages, dispatched for these terms, are here already."""
        return await self._thread.run(
            lambda db: {i for i, epoch in terms.items() if messages.is_known(db, i, epoch)}
        )

    async def states(self, ids: Sequence[str]) -> dict[str, State]:
        """The states of those of these messages that are here."""
        return await self._thread.run(lambda db: messages.states(db, ids))

    async def in_states(self, *states: State) -> list[SpooledMessage]:
        """All messages in these states."""
        return await self._thread.run(lambda db: messages.in_states(db, states))

    async def mark_handing(self, ids: Sequence[str]) -> list[tuple[SpooledMessage, bytes]]:
        """Note that these go to Postfix now; return them with content where they were stored."""
        return await self._thread.run(lambda db: messages.mark_handing(db, ids, clock.wall_ms()))

    async def learn(self, facts: Sequence[tuple[str, Fact]]) -> list[Learned]:
        """Write down facts by message id; unknown ids are skipped."""

        def write(db: sqlite3.Connection) -> list[Learned]:
            now_ms = clock.wall_ms()
            steps = ((i, fact, messages.learn(db, i, fact, now_ms)) for i, fact in facts)
            return [Learned(i, fact, step) for i, fact, step in steps if step is not None]

        return await self._thread.run(write)

    async def learn_from_log(self, batch: LogBatch) -> list[Learned]:
        """Write down what the log says and how far it was read, together."""

        def write(db: sqlite3.Connection) -> list[Learned]:
            now_ms = clock.wall_ms()
            learned: list[Learned] = []
            for message_id, fact in (one for e in batch.entries for one in _whose(db, e)):
                step = messages.learn(db, message_id, fact, now_ms)
                if step is not None:
                    learned.append(Learned(message_id, fact, step))
            meta.write(db, "log_position", batch.position)
            return learned

        return await self._thread.run(write)

    async def log_position(self) -> object:
        """What `learn_from_log` stored last, as JSON; None: nothing yet."""
        return await self._thread.run(lambda db: meta.read(db, "log_position"))

    async def in_flight(self) -> dict[str, str]:
        """Queue id to message id of what Postfix may be delivering, as far as its log tells."""
        return await self._thread.run(messages.in_flight)

    async def not_held(self) -> list[tuple[str, str]]:
        """(id, queue id) of uncertain messages that are not known to be on hold."""
        return await self._thread.run(messages.not_held)

    async def in_postfix(self) -> list[InPostfix]:
        """All queued messages, with what a recall needs to know of them."""
        return await self._thread.run(messages.in_postfix)

    async def mark_held(self, ids: Iterable[str], held: bool = True) -> None:
        """Their queue files are on hold or gone, or about to be; or, not `held`, are not."""
        chosen = list(ids)
        await self._thread.run(lambda db: messages.mark_held(db, chosen, held))

    async def events_after(
        self, seq: int, limit: int = 500, max_octets: int = 512 * 1024
    ) -> list[node_pb2.MessageEvent]:
        """Events above `seq`, in order."""
        return await self._thread.run(lambda db: outbox.after(db, seq, limit, max_octets))

    async def acknowledge(self, up_to_seq: int) -> int:
        """The controller has all events up to here; return what is acknowledged now."""
        return await self._thread.run(lambda db: outbox.acknowledge(db, up_to_seq))

    async def event_bounds(self) -> tuple[int, int]:
        """(highest acknowledged number, highest number)."""
        return await self._thread.run(outbox.bounds)

    async def counts(self) -> dict[str, int]:
        """Messages by open state."""
        return await self._thread.run(messages.counts)

    async def forget_final(self, before_ms: int) -> int:
        """Drop final messages of before; return how many."""
        return await self._thread.run(lambda db: messages.forget_final(db, before_ms))

    async def compact(self) -> None:
        """Give room back to the disk where there is much to give."""
        if await self._thread.run(_free_pages) > MANY_FREE_PAGES:
            await self._thread.compact()

    async def remember(self, name: str, value: object) -> None:
        """Keep a small JSON value."""
        await self._thread.run(lambda db: meta.write(db, name, value))

    async def recall(self, name: str, default: object = None) -> object:
        """The JSON value kept under `name`."""
        return await self._thread.run(lambda db: meta.read(db, name, default))

    async def remember_octets(self, name: str, value: bytes) -> None:
        """Keep octets (the running spec)."""
        await self._thread.run(lambda db: meta.write_octets(db, name, value))

    async def recall_octets(self, name: str) -> bytes | None:
        """The octets kept under `name`."""
        return await self._thread.run(lambda db: meta.read_octets(db, name))


def _free_pages(db: sqlite3.Connection) -> int:
    (pages,) = db.execute("PRAGMA freelist_count").fetchone()
    return int(pages)


def _whose(db: sqlite3.Connection, entry: Entry) -> list[tuple[str, Fact]]:
    """The messages an entry of the log is about, each with the fact."""
    if entry.egress_id:
        flying = messages.in_flight(db, entry.egress_id)
        return [(i, replace(entry.fact, queue_id=queue_id)) for queue_id, i in flying.items()]
    message_id = entry.message_id or messages.id_of_queue_file(db, entry.queue_id)
    return [(message_id, entry.fact)] if message_id else []
