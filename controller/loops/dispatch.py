"""Dispatch: moves due messages to the nodes that hold their egress in the current term.

Runs in every controller for the sessions it has; one transaction claims for all of them, and only
for sessions that still speak for their node. What was claimed is on its way before anything is
sent: a crash in between is healed by the node's next session (`resend_unacknowledged`).
"""

from __future__ import annotations

import time

from prometheus_client import Counter

from controller.desired.current import CurrentFleet
from controller.metrics import REGISTRY
from controller.planner.ledger import refund
from controller.sessions import metrics as session_metrics
from controller.sessions.registry import Registry
from controller.store import Row, Store, Transaction, queries
from controller.throttle.trials import begin_trials, choose_trials
from controller.throttle.turns import choose_turns, note_turns

_SQL = queries.load("dispatch")

DISPATCHED = Counter(
    "postfleet_controller_dispatched_total",
    "Messages sent on their way to a node.",
    registry=REGISTRY,
)
SUPPRESSED = Counter(
    "postfleet_controller_suppressed_at_dispatch_total",
    "Messages that ended because their recipient was suppressed after they were accepted.",
    registry=REGISTRY,
)


class Dispatcher:
    """Claims and sends. `busy` after a cycle that found more than it could take."""

    def __init__(self, store: Store, current: CurrentFleet, registry: Registry) -> None:
        self._store = store
        self._current = current
        self._registry = registry
        self.busy = False

    async def run_cycle(self) -> str:
        """One claim for all sessions with room."""
        now_s = time.monotonic()
        asked = {
            session.node_id: (session, *room)
            for session in self._registry
            if (room := session.room(now_s))[0] > 0
        }
        session_metrics.OUTSTANDING.set(sum(len(s.outstanding) for s in self._registry))
        if not asked:
            self.busy = False
            return "no node has room for mail"
        rows = await self._claim(
            node_ids=list(asked),
            session_ids=[session.session_id for session, _, _ in asked.values()],
            rooms=[room for _, room, _ in asked.values()],
            rooms_octets=[octets for _, _, octets in asked.values()],
            except_ids=[
                id for session, _, _ in asked.values() for id in session.refused_now(now_s)
            ],
        )
        sent = 0
        for node_id, (session, _, _) in asked.items():
            mine = [r for r in rows if r["node_id"] == node_id and r["state"] == "dispatched"]
            sent += session.send_mail(sorted(mine, key=lambda r: (r["not_before"], r["id"])))
        suppressed = len(rows) - sent
        DISPATCHED.inc(sent)
        SUPPRESSED.inc(suppressed)
        self.busy = sent > 0
        return f"dispatched {sent} messages, {suppressed} suppressed" if rows else "nothing is due"

    async def _claim(self, **asked: object) -> list[Row]:
        async def work(tx: Transaction) -> list[Row]:
            horizon_s = self._current.horizon_s
            trials = await choose_trials(tx, horizon_s)
            turns = {*await choose_turns(tx, horizon_s), *trials}
            rows = await tx.fetch_all(
                _SQL["claim"],
                horizon_s=horizon_s, trial_ids=list(trials), turn_ids=list(turns), **asked,
            )  # fmt: skip
            dispatched = {row["id"] for row in rows if row["state"] == "dispatched"}
            await begin_trials(tx, trials, dispatched)
            await note_turns(tx, dispatched & turns)
            suppressed = [row["id"] for row in rows if row["state"] == "suppressed"]
            if suppressed:
                await refund(tx, suppressed)
            return rows

        return await self._store.run(work)
