"""The database's clock is stepped an hour ahead and back: nothing waits for an hour that is over.

The clock of the test's database is `stepped.now()`, found before PostgreSQL's own by the search
path; so all queries, defaults and views of the controller go by it.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from controller.intake.check import Submission
from controller.intake.ingest import ingest
from controller.loops.clock import Clock
from controller.planner.cycle import Planner
from controller.postgres import EmbeddedServer
from controller.store import Store, connection
from controller.store.migrate import migrate

HOUR = timedelta(hours=1)
BODY = b"Subject: a\r\n\r\nb\r\n"
HORIZON = timedelta(seconds=300)
PACING = {"spread": True, "min_gap_s": 60}
LIMITS = {
    "mailbox_per_hour": 40,
    "mailbox_per_day": 480,
    "egress_per_hour": 100,
    "egress_per_day": 2000,
    "domain_per_day": 5000,
    "provider_egress_per_hour": 1000,
}
# 480 a day: one each 3 minutes; a third more by jitter.
LONGEST_GAP = timedelta(minutes=4)
FLEET = {"name": "test", "limits": LIMITS, "pacing": PACING}


@pytest.fixture
def database(postgres_server: EmbeddedServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A database whose clock is the test's."""
    with psycopg.connect(postgres_server.dsn(), autocommit=True) as admin:
        admin.execute("CREATE DATABASE stepped")
        dsn = postgres_server.dsn("stepped")
        with psycopg.connect(dsn) as made:
            made.execute(
                "CREATE SCHEMA stepped;"
                "CREATE TABLE stepped.clock (ahead interval NOT NULL DEFAULT '0');"
                "INSERT INTO stepped.clock DEFAULT VALUES;"
                "CREATE FUNCTION stepped.now() RETURNS timestamptz LANGUAGE sql STABLE"
                " AS 'SELECT pg_catalog.now() + (SELECT ahead FROM stepped.clock)'"
            )
        options = connection._PARAMETERS["options"].replace("=public", "=public,stepped,pg_catalog")
        monkeypatch.setitem(connection._PARAMETERS, "options", options)
        migrate(dsn)
        yield dsn
        admin.execute("DROP DATABASE stepped WITH (FORCE)")


class World:
    """Rows, and a clock that the test moves."""

    def __init__(self, store: Store, dsn: str) -> None:
        self.store, self.dsn, self.serial = store, dsn, 0
        self.true_s = 0.0

    def sql(self, text: str, *parameters: object) -> list[Any]:
        options = "-c timezone=UTC -c search_path=public,stepped,pg_catalog"
        with psycopg.connect(self.dsn, options=options) as open_:
            cursor = open_.execute(text, parameters)
            return cursor.fetchall() if cursor.description else []

    def step(self, by: timedelta) -> None:
        self.sql("UPDATE stepped.clock SET ahead = ahead + %s", by)

    async def submit(self, count: int, mailbox: str = "", at: datetime | None = None) -> None:
        self.serial += 1
        batch = [
            Submission(f"k{self.serial}-{n}", "acme", mailbox, f"r{n}@x.test", at, BODY)
            for n in range(count)
        ]  # fmt: skip
        await ingest(self.store, batch)

    async def run(self) -> None:
        """A cycle of each: the clock's, the planner's; what is planned and due goes out."""
        await Clock(self.store).run_cycle()
        await Planner(self.store).run_cycle()
        self.sql("UPDATE message SET state = 'sent', final_at = now()"
                 " WHERE state = 'scheduled' AND not_before <= now()")  # fmt: skip

    def latest(self, query: str) -> timedelta:
        """How far ahead of now the greatest of these times lies."""
        ahead = self.sql(f"SELECT coalesce(max(x.t) - now(), '0') FROM ({query}) AS x (t)")
        found: timedelta = ahead[0][0]
        return found


@pytest.fixture
async def world(database: str, make_fleet: Callable[..., list[str]], store: Store) -> World:
    make_fleet("acme", mailboxes=4, egresses=2)
    world = World(store, database)
    world.sql("UPDATE setting SET value = %s WHERE name = 'fleet'", Jsonb(FLEET))
    world.sql("UPDATE client SET priority = 0")
    return world


PLANNED = "SELECT not_before FROM message WHERE state = 'scheduled'"
DUE = "SELECT due_at FROM mailbox"


async def test_slots_that_were_drawn_in_the_future_are_drawn_anew(world: World) -> None:
    await world.submit(40)
    world.step(HOUR)
    await world.run()
    assert world.sql("SELECT count(*) FROM message WHERE state <> 'accepted'")[0][0] >= 4
    world.step(-HOUR)
    assert world.latest(DUE) > HOUR - timedelta(minutes=5), "the test tests something"
    await world.run()
    assert world.latest(DUE) <= HORIZON + LONGEST_GAP
    assert world.latest(PLANNED) <= HORIZON
    audited = world.sql("SELECT reason FROM audit WHERE action = 'mend-times'")
    assert len(audited) == 1
    assert "set back by 3600 s" in audited[0][0]
    # Nothing changes any more, and nothing is said again.
    assert "nothing lies in the future" in await Clock(world.store).run_cycle()
    assert len(world.sql("SELECT 1 FROM audit WHERE action = 'mend-times'")) == 1


async def test_the_gap_to_what_was_sent_in_the_future_is_kept(world: World) -> None:
    world.step(HOUR)
    await world.submit(4)
    await world.run()
    assert world.sql("SELECT count(*) FROM message WHERE state = 'sent'") == [(4,)]
    world.step(-HOUR)
    await world.submit(4)
    await world.run()
    soonest = world.sql("SELECT min(not_before) - now() FROM message WHERE state = 'scheduled'")
    assert soonest[0][0] >= timedelta(seconds=55)


async def test_mail_that_came_in_the_future_goes_now_and_what_was_wanted_later_goes_later(
    world: World,
) -> None:
    now = world.sql("SELECT now()")[0][0]
    world.step(HOUR)
    await world.submit(3)
    wanted = now + timedelta(minutes=50)
    await world.submit(1, at=wanted)
    await world.run()
    world.sql("UPDATE message SET state = 'scheduled' WHERE state = 'sent'")
    world.step(-HOUR)
    await Clock(world.store).run_cycle()
    rows = world.sql("SELECT state, not_before FROM message ORDER BY not_before")
    assert {state for state, _ in rows[:3]} <= {"accepted"}
    assert all(at <= now + timedelta(seconds=30) for _, at in rows[:3])
    assert rows[3] == ("accepted", wanted)


async def test_stops_slow_rates_and_questions_last_as_long_as_they_were_to(world: World) -> None:
    world.step(HOUR)
    await Clock(world.store).run_cycle()
    world.sql(
        "INSERT INTO suspension (scope, subject, source, reason, until) VALUES"
        " ('provider-egress', 'google/acme-e0', 'shaping', 'busy', now() + interval '15 min'),"
        " ('egress', 'acme-e0', 'operator', 'mine', now() + interval '15 min')"
    )
    world.sql(
        "INSERT INTO slow_down (scope, provider, subject, per_hour, since, lowered_at, rule,"
        " reason) VALUES ('provider-egress', 'google', 'acme-e0', 4, now() + interval '15 min',"
        " now(), '', '')"
    )
    world.sql(
        "INSERT INTO breaker (scope, provider, subject, position, opened, changed_at, until, trial,"
        " trial_at) VALUES ('provider-egress', 'yahoo', 'acme-e0', 'open', 1,"
        " now() - interval '10 min', now() + interval '5 min', 'x', now())"
    )
    world.sql(
        "INSERT INTO mail_domain (domain, asked_at, due_at) VALUES ('x.test', now(),"
        " now() + interval '5 min')"
    )
    world.step(-HOUR)
    await Clock(world.store).run_cycle()
    for source, expected in (("shaping", 15), ("operator", 75)):
        left = world.latest(f"SELECT until FROM suspension WHERE source = '{source}'")
        assert abs(left - timedelta(minutes=expected)) < timedelta(seconds=20), source
    for query, expected in (
        ("SELECT since FROM slow_down", 15),
        ("SELECT lowered_at FROM slow_down", 0),
        ("SELECT until FROM breaker", 15),
        ("SELECT trial_at FROM breaker", 0),
        ("SELECT due_at FROM mail_domain", 5),
    ):
        left = world.latest(query)
        assert abs(left - timedelta(minutes=expected)) < timedelta(seconds=20), query


async def test_a_clock_that_only_goes_forward_is_left_alone(world: World) -> None:
    await world.submit(40)
    await world.run()
    before = world.sql("SELECT address, due_at, slot_at FROM mailbox ORDER BY 1")
    world.step(timedelta(minutes=1))
    assert await Clock(world.store).run_cycle() == "the clock runs on"
    assert world.sql("SELECT address, due_at, slot_at FROM mailbox ORDER BY 1") == before
    assert world.sql("SELECT 1 FROM audit WHERE action = 'mend-times'") == []


@pytest.mark.parametrize("seed", range(6))
async def test_however_the_clock_is_stepped_mail_flows_on_and_caps_hold(
    world: World, seed: int
) -> None:
    """After each step back, time passes truly: no mailbox waits for longer than two of its gaps."""
    chance = random.Random(seed)
    await world.submit(400)
    for _ in range(6):
        by = chance.choice([HOUR, -HOUR, 2 * HOUR, timedelta(minutes=-20), -3 * HOUR])
        world.step(by)
        for _ in range(chance.randint(1, 5)):
            await world.run()
            world.step(timedelta(seconds=chance.randint(1, 100)))
        await world.run()
        assert world.latest(DUE) <= HORIZON + 2 * LONGEST_GAP
        assert world.latest(PLANNED) <= HORIZON + timedelta(seconds=3)
        over = world.sql("SELECT 1 FROM ledger_hour WHERE scope = 'mailbox' AND used > 40")
        assert over == []
    sent = world.sql("SELECT count(*) FROM message WHERE state = 'sent'")[0][0]
    for _ in range(10):
        world.step(timedelta(minutes=2))
        await world.run()
    gained = world.sql("SELECT count(*) FROM message WHERE state = 'sent'")[0][0] - sent
    # 20 true minutes are 6 gaps for each of 4 mailboxes; a limit of an hour may hold some.
    held = world.sql("SELECT count(*) FROM mailbox WHERE held <> ''")[0][0]
    assert gained >= 10 or held
