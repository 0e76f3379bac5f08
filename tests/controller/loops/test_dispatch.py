"""Dispatch against a real database: only what may go, to whom it may go, as much as fits."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from controller.desired.current import CurrentFleet
from controller.keys.identity import Identity, Kind
from controller.keys.sealing import open_sealer
from controller.loops.dispatch import Dispatcher
from controller.loops.sweeper import Sweeper
from controller.sessions.registry import Registry
from controller.sessions.session import NodeSession
from controller.store import Store
from tests.controller.small_fleet import apply, small_inventory, sql

TODAY = date(2026, 1, 1)


class Scene:
    """A fleet of one node in its term 3, that runs everything, and its session."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.current = CurrentFleet()
        self.registry = Registry()
        self.session = NodeSession(Identity(Kind.NODE, "n1", b"c"), "s1", "b", "p", 1)
        self.registry.enter(self.session)
        self.dispatcher = Dispatcher(store, self.current, self.registry)

    async def prepare(self, state_dir: Path) -> None:
        await apply(self.store, open_sealer(state_dir), small_inventory(nodes=2))
        await self.current.refresh(self.store)
        for text in (
            "INSERT INTO lease (node_id, epoch, held, session_id) VALUES ('n1', 3, true, 's1')",
            "INSERT INTO assignment (egress_id, node_id, epoch)"
            " SELECT id, 'n1', 3 FROM egress WHERE id <> 'px4'",
            "INSERT INTO running_mailbox SELECT 'n1', address, egress_id FROM mailbox",
        ):
            await self.store.execute(sql(text))

    async def scheduled(
        self, id: str, mailbox: str = "m1-1@acme.test", *, due_s: float = 0, size: int = 10
    ) -> None:
        await self.store.execute(
            sql("WITH c AS (INSERT INTO message_content VALUES (%(id)s, '', %(content)s))"
                " INSERT INTO message (id, client_id, mailbox,"
                " egress_id, recipient, not_before, state, charged_day, size)"
                " SELECT %(id)s, 'acme', address, egress_id, %(id)s || '@x.test',"
                " %(due)s, 'scheduled', %(day)s, %(size)s FROM mailbox WHERE address = %(box)s"),
            id=id, content=b"c" * size, due=datetime.now(UTC) + timedelta(seconds=due_s),
            day=TODAY, size=size, box=mailbox,
        )  # fmt: skip

    async def sent(self) -> list[str]:
        """Runs a cycle; gives the messages in the order in which they are on their way."""
        before = set(self.session.outstanding)
        await self.dispatcher.run_cycle()
        return [id for id in self.session.outstanding if id not in before]

    async def state(self, id: str) -> str:
        return str(
            await self.store.fetch_value(sql("SELECT state FROM message WHERE id = %(id)s"), id=id)
        )


@pytest.fixture
async def scene(store: Store, tmp_path: Path) -> Scene:
    scene = Scene(store)
    # No content has a foreign key to a message that comes in the same statement.
    await store.execute(
        sql("ALTER TABLE message_content DROP CONSTRAINT message_content_message_id_fkey")
    )
    await scene.prepare(tmp_path)
    return scene


async def test_due_messages_go_in_the_order_of_their_time(scene: Scene) -> None:
    await scene.scheduled("late", "m1-1@acme.test", due_s=30)
    await scene.scheduled("soon", "m2-1@acme.test", due_s=10)
    await scene.scheduled("now", "m3-1@acme.test")
    await scene.scheduled("beyond-the-horizon", due_s=1000)
    assert await scene.sent() == ["now", "soon", "late"]
    assert await scene.state("beyond-the-horizon") == "scheduled"
    assert await scene.sent() == []


async def test_only_what_the_node_holds_in_its_present_term_goes(scene: Scene) -> None:
    await scene.scheduled("not-assigned", "m4-1@acme.test")
    await scene.scheduled("old-term", "m2-1@acme.test")
    await scene.scheduled("releasing", "m3-1@acme.test")
    await scene.scheduled("fine")
    await scene.store.execute(
        sql("UPDATE assignment SET epoch = CASE egress_id WHEN 'px2' THEN 2 ELSE 3 END,"
            " state = CASE egress_id WHEN 'px3' THEN 'releasing' ELSE 'assigned' END")
    )  # fmt: skip
    assert await scene.sent() == ["fine"]


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE lease SET held = false",
        "UPDATE lease SET session_id = 'another'",
        "DELETE FROM running_mailbox WHERE address = 'm1-1@acme.test'",
        "UPDATE running_mailbox SET egress_id = 'px2' WHERE address = 'm1-1@acme.test'",
        "INSERT INTO suspension (scope, subject, source, reason) VALUES ('egress','px1','x','')",
        "INSERT INTO suspension (scope, subject, source, reason)"
        " VALUES ('mailbox', 'm1-1@acme.test', 'x', '')",
        "INSERT INTO suspension (scope, subject, source, reason)"
        " VALUES ('domain', 'acme.test', 'x', '')",
        "INSERT INTO suspension (scope, subject, source, reason, until)"
        " VALUES ('client', 'acme', 'x', '', now() + interval '1 hour')",
        "INSERT INTO suspension (scope, subject, source, reason)"
        " VALUES ('provider-egress', 'google/px1', 'x', '')",
        "INSERT INTO suspension (scope, subject, source, reason)"
        " VALUES ('provider-domain', 'google/acme.test', 'x', '')",
    ],
)
async def test_nothing_goes(scene: Scene, change: str) -> None:
    await scene.scheduled("m")
    await scene.store.execute(sql("UPDATE message SET provider = 'google', receiver = 'google'"))
    await scene.store.execute(sql(change))
    assert await scene.sent() == []
    assert await scene.state("m") == "scheduled"


async def test_a_suspended_pair_stops_no_other(scene: Scene) -> None:
    for id, mailbox, provider in (
        ("stopped", "m1-1@acme.test", "google"),
        ("other-provider", "m1-1@acme.test", "yahoo"),
        ("not-looked-up", "m1-1@acme.test", None),
        ("other-egress", "m2-1@acme.test", "google"),
    ):
        await scene.scheduled(id, mailbox)
        await scene.store.execute(
            sql("UPDATE message SET receiver = %(provider)s WHERE id = %(id)s"),
            id=id, provider=provider,
        )  # fmt: skip
    await scene.store.execute(
        sql("INSERT INTO suspension (scope, subject, source, reason)"
            " VALUES ('provider-egress', 'google/px1', 'x', ''),"
            " ('provider-domain', 'yahoo/other.test', 'x', '')")
    )  # fmt: skip
    assert sorted(await scene.sent()) == ["not-looked-up", "other-egress", "other-provider"]


async def test_a_suspension_that_is_over_stops_nothing(scene: Scene) -> None:
    await scene.scheduled("m")
    await scene.store.execute(
        sql("INSERT INTO suspension (scope, subject, source, reason, until)"
            " VALUES ('client', 'acme', 'x', '', now() - interval '1 second')")
    )  # fmt: skip
    assert await scene.sent() == ["m"]


@pytest.mark.parametrize(
    ("client", "recipient", "stops"),
    [
        ("", "m@x.test", True),
        ("acme", "m@x.test", True),
        ("", "@x.test", True),
        ("acme", "@x.test", True),
        ("other", "m@x.test", False),
        ("", "@test", False),
    ],
)
async def test_a_recipient_suppressed_meanwhile_ends_the_message_and_refunds_it(
    scene: Scene, client: str, recipient: str, stops: bool
) -> None:
    await scene.scheduled("m")
    for scope, subject in (("mailbox", "m1-1@acme.test"), ("egress", "px1")):
        await scene.store.execute(
            sql("INSERT INTO ledger VALUES (%(scope)s, %(subject)s, %(day)s, 1)"),
            scope=scope, subject=subject, day=TODAY,
        )  # fmt: skip
    await scene.store.execute(
        sql("INSERT INTO suppression (client_id, recipient, reason)"
            " VALUES (%(client)s, %(recipient)s, 'bounce')"),
        client=client, recipient=recipient,
    )  # fmt: skip
    assert await scene.sent() == ([] if stops else ["m"])
    assert await scene.state("m") == ("suppressed" if stops else "dispatched")
    used = await scene.store.fetch_value(sql("SELECT sum(used) FROM ledger"))
    assert used == (0 if stops else 2)


@pytest.mark.parametrize("suppressed", ["gone@x.test", "@x.test"])
@pytest.mark.parametrize("recipient", ["Gone@X.test", "GONE@x.TEST"])
async def test_capital_letters_slip_past_no_suppression(
    scene: Scene, recipient: str, suppressed: str
) -> None:
    await scene.scheduled("m")
    await scene.store.execute(
        sql("UPDATE message SET recipient = %(recipient)s"), recipient=recipient
    )
    await scene.store.execute(
        sql("INSERT INTO suppression (client_id, recipient, reason)"
            " VALUES ('', %(suppressed)s, 'asked for it')"),
        suppressed=suppressed,
    )  # fmt: skip
    assert await scene.sent() == []
    assert await scene.state("m") == "suppressed"


async def test_a_quoted_local_part_with_an_at_sign_hides_no_domain(scene: Scene) -> None:
    await scene.scheduled("m")
    await scene.store.execute(
        sql("UPDATE message SET recipient = %(recipient)s"), recipient='"a@b"@x.test'
    )
    await scene.store.execute(
        sql("INSERT INTO suppression (client_id, recipient, reason)"
            " VALUES ('', '@x.test', 'asked for it')")
    )  # fmt: skip
    assert await scene.sent() == []


async def test_no_more_goes_than_the_node_has_room_for(scene: Scene) -> None:
    for i in range(40):
        await scene.scheduled(f"m{i:02}", size=1024 * 1024)
    first = await scene.sent()
    assert 15 <= len(first) <= 17
    assert await scene.sent() == []
    scene.session.answered(first[:5])
    assert len(await scene.sent()) in range(4, 7)


async def test_mail_larger_than_all_room_goes_alone(scene: Scene) -> None:
    await scene.scheduled("huge", size=20 * 1024 * 1024)
    await scene.scheduled("next")
    assert await scene.sent() == ["huge"]
    scene.session.answered(["huge"])
    assert await scene.sent() == ["next"]


async def test_a_message_the_node_refused_for_what_it_is_is_not_offered_again_at_once(
    scene: Scene,
) -> None:
    await scene.scheduled("m")
    scene.session.refused_until_s["m"] = float("inf")
    assert await scene.sent() == []
    scene.session.refused_until_s["m"] = 0
    assert await scene.sent() == ["m"]


async def test_planned_mail_of_a_mailbox_that_moved_goes_back_to_the_planner(scene: Scene) -> None:
    await scene.scheduled("m")
    await scene.scheduled("other", "m2-1@acme.test")
    await scene.store.execute(
        sql("UPDATE mailbox SET egress_id = 'px2' WHERE address = 'm1-1@acme.test'")
    )
    assert "1 messages" in await Sweeper(scene.store).run_cycle()
    assert await scene.state("m") == "accepted"
    assert await scene.state("other") == "scheduled"
    assert "nothing" in await Sweeper(scene.store).run_cycle()
