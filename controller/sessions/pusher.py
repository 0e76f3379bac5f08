"""Tells nodes what changed in the database: specs, suspensions, releases, cancels; and ends stale
sessions.

One look serves all sessions of this process with three queries, four times a second. A look that
fails changes nothing; the next one sees the same.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Collection

import structlog
from postfleet.v1 import node_pb2

from controller.desired.current import CurrentFleet
from controller.keys.errors import KeysError
from controller.keys.sealing import Sealer
from controller.sessions.cancels import MOST, ask_to_cancel
from controller.sessions.discards import ask_discards
from controller.sessions.errors import SessionRefused, SessionSuperseded
from controller.sessions.heartbeats import grant_more, take_all_away
from controller.sessions.on_nodes import WantedBack
from controller.sessions.registry import Registry
from controller.sessions.releases import ask_back
from controller.sessions.session import NodeSession
from controller.sessions.spec_delivery import is_spec_due, send_spec
from controller.store import Row, Store, queries

_SQL = queries.load("sessions")
_RESOLUTIONS = queries.load("resolutions")
_CANCEL = queries.load("cancel")
_log = structlog.get_logger(__name__)
_SCOPES = {
    "mailbox": node_pb2.SUSPENSION_SCOPE_MAILBOX,
    "egress": node_pb2.SUSPENSION_SCOPE_EGRESS,
    "domain": node_pb2.SUSPENSION_SCOPE_DOMAIN,
    "client": node_pb2.SUSPENSION_SCOPE_CLIENT,
}


class Pusher:
    """Looks for what must be told. `look_at` serves one session at its beginning."""

    def __init__(
        self, store: Store, sealer: Sealer, registry: Registry, current: CurrentFleet
    ) -> None:
        self._store = store
        self._sealer = sealer
        self._registry = registry
        self._current = current
        self._wanted_back = WantedBack(store)
        # A session's beginning and the loop must not send one thing twice.
        self._looking = asyncio.Lock()

    async def run_cycle(self) -> str:
        """One look for all sessions; says what it told."""
        sessions = list(self._registry)
        if not sessions:
            return "no node is connected"
        told = await self.look_at(sessions)
        return f"told {told} of {len(sessions)} nodes something" if told else "nothing to tell"

    async def look_at(self, sessions: Collection[NodeSession]) -> int:
        """Tells these sessions what they need to know; gives how many were told something."""
        async with self._looking:
            return await self._look_at(sessions)

    async def _look_at(self, sessions: Collection[NodeSession]) -> int:
        node_ids = [session.node_id for session in sessions]
        suspensions = await self._suspensions(node_ids)
        rows = await self._store.fetch_all(_SQL["watch"], node_ids=node_ids)
        by_node = {row["node_id"]: row for row in rows}
        discards = await self._discards(node_ids)
        cancels = await self._cancels(node_ids)
        now_s = time.monotonic()
        told = 0
        for session in sessions:
            told += ask_to_cancel(session, cancels[session.node_id], now_s)
            told += self._tell_suspensions(session, suspensions[session.node_id])
            told += await self._tell_changes(session, by_node.get(session.node_id))
            told += ask_discards(session, discards[session.node_id], time.monotonic())
        return told

    async def _cancels(self, node_ids: list[str]) -> dict[str, list[str]]:
        ids: dict[str, list[str]] = defaultdict(list)
        for row in await self._store.fetch_all(_CANCEL["on_nodes"], node_ids=node_ids, limit=MOST):
            ids[row["node_id"]].append(row["id"])
        wanted_back = await self._wanted_back.ids(node_ids, self._current.horizon_s)
        for node_id, found in wanted_back.items():
            ids[node_id] += found
        return ids

    async def _suspensions(self, node_ids: list[str]) -> dict[str, node_pb2.Suspensions]:
        lists: dict[str, node_pb2.Suspensions] = defaultdict(node_pb2.Suspensions)
        for row in await self._store.fetch_all(_SQL["suspensions"], node_ids=node_ids):
            item = lists[row["node_id"]].suspensions.add(
                scope=_SCOPES[row["scope"]], subject=row["subject"], reason=row["reason"]
            )
            if row["until"] is not None:
                item.until.FromDatetime(row["until"])
        return lists

    async def _discards(self, node_ids: list[str]) -> dict[str, list[Row]]:
        by_node: dict[str, list[Row]] = defaultdict(list)
        for row in await self._store.fetch_all(_RESOLUTIONS["wanted"], node_ids=node_ids):
            by_node[row["node_id"]].append(row)
        return by_node

    def _tell_suspensions(self, session: NodeSession, wanted: node_pb2.Suspensions) -> bool:
        octets = wanted.SerializeToString(deterministic=True)
        if octets == session.suspensions_sent:
            return False
        session.suspensions_sent = octets
        session.outbox.put(node_pb2.ControllerMessage(suspensions=wanted))
        return True

    async def _tell_changes(self, session: NodeSession, row: Row | None) -> bool:
        now_s = time.monotonic()
        if row is None:
            session.end(SessionRefused(f"node {session.node_id} was removed from the inventory"))
            return True
        if bytes(row["certificate_sha256"] or b"") != session.identity.certificate_sha256:
            session.end(SessionRefused(f"node {session.node_id}'s certificate was replaced"))
            return True
        if row["session_id"] != session.session_id:
            session.end(SessionSuperseded(f"a newer session of node {session.node_id} began"))
            return True
        if not row["held"]:
            take_all_away(session, row["epoch"])
        if row["ungranted"]:
            await grant_more(self._store, session)
        if row["releasing"]:
            ask_back(session, row["releasing"], row["epoch"], now_s)
        if not is_spec_due(session, row["wanted_generation"], now_s):
            return False
        try:
            await send_spec(self._store, self._sealer, session, now_s)
        except KeysError as error:
            # Nothing was sent: the node goes on with what it runs. The next try is RETRY_S away.
            session.spec_sent_generation = row["wanted_generation"]
            session.spec_sent_at_s = now_s
            _log.error("spec cannot be built", node=session.node_id, why=str(error))
        return True
