"""Days of a fleet in virtual time: what is planned goes out at once, and receivers take it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from controller.loops.warming import Warming
from controller.planner.cycle import Planner
from controller.store import Store
from controller.warm_up.write import WarmUpMail

BEGIN = datetime(2026, 11, 23, 6, tzinfo=UTC)
STEP = timedelta(minutes=30)
_LOST = "UPDATE message SET state = %s, final_at = %s WHERE id = %s"
_NOTED = """
INSERT INTO warm_up_sent (scope, subject, day)
SELECT w.scope, w.subject, m.charged_day FROM message AS m JOIN warm_up AS w
ON (w.scope, w.subject) IN (('mailbox', m.mailbox), ('egress', m.egress_id))
WHERE m.id = ANY(%s) ON CONFLICT DO NOTHING"""


def rows(database: str, sql: str, *parameters: object) -> list[Any]:
    with psycopg.connect(database) as connection:
        cursor = connection.execute(sql, parameters)
        return cursor.fetchall() if cursor.description else []


def set_warm_up(database: str, **settings: object) -> None:
    """What the inventory says below fleet.warm_up."""
    rows(
        database,
        "UPDATE setting SET value = value || jsonb_build_object('warm_up', %s::jsonb)",
        Jsonb(settings),
    )


def begin_warming(database: str, *addresses: str, day: int = 1) -> None:
    """Makes mailboxes warm up, on this day of their curve."""
    rows(database, "UPDATE mailbox SET state = 'warming', warming = 'true' WHERE address = ANY(%s)",
         list(addresses))  # fmt: skip
    rows(database, "INSERT INTO warm_up (scope, subject, day, judged) SELECT 'mailbox', a, %s, %s"
         " FROM unnest(%s::text[]) AS a", day, (BEGIN - timedelta(days=1)).date(), list(addresses),
    )  # fmt: skip


class FastDays:
    """The elected controller's loops on a clock of the test's own; new ones in every step, as after
    a restart."""

    def __init__(self, store: Store, database: str) -> None:
        self.store = store
        self.database = database
        self.now = BEGIN
        self.arrives: Callable[[str], bool] = lambda _: True

    async def run(self, length: timedelta) -> None:
        end = self.now + length
        while self.now < end:
            await self.step()

    async def step(self) -> None:
        await Warming(self.store, lambda: self.now).run_cycle()
        await WarmUpMail(self.store, lambda: self.now).run_cycle()
        await Planner(self.store, 500, lambda: self.now).run_cycle()
        self._send()
        self.now += STEP

    def _send(self) -> None:
        with psycopg.connect(self.database) as connection:
            planned = [id for (id,) in connection.execute(
                "SELECT id FROM message WHERE state = 'scheduled'").fetchall()]  # fmt: skip
            sent = [id for id in planned if self.arrives(id)]
            for id in planned:
                state = "sent" if id in sent else "bounced"
                connection.execute(_LOST, (state, self.now, id))
            connection.execute(_NOTED, (sent,))
