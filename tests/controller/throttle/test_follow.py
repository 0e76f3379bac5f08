"""What receivers say has consequences in the database: the right ones, once, and they end."""

from __future__ import annotations

import itertools
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from postfleet.v1 import node_pb2

from controller.events.recorder import Recorder
from controller.events.report import Report
from controller.keys.sealing import open_sealer
from controller.providers.table import open_table
from controller.shaping.book import layered, open_book
from controller.shaping.read import parse, shipped
from controller.store import Store
from controller.throttle.heard import Listener
from controller.throttle.recovery import Recovery
from tests.controller.small_fleet import apply, small_inventory, sql

TABLE = open_table()
LISTENER = Listener(open_book(None, TABLE.names), TABLE)
GOOGLE = "gmail-smtp-in.l.google.com"
RATE = (
    "421-4.7.28 [198.51.100.1 15] Our system has detected an unusual rate of 421-4.7.28 "
    "unsolicited mail originating from your IP address. 421 4.7.28 review our Guidelines - gsmtp"
)
_seqs = itertools.count(1)


class Scene:
    """A fleet whose messages are on node n1, and what n1 reports of them."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.listener = LISTENER

    def use_rule(self, action: str, more: str = "") -> None:
        """An operator's rule before the shipped ones; it fires on "never here"."""
        text = f"""
[[rule]]
name = "never-here"
text = 'never here'
action = "{action}"
{more}
why = "they mean it"
source = ["a test"]
samples = ["451 4.7.1 never here"]
near_misses = ["451 4.7.1 not now"]
"""
        own = parse(text, "a test", TABLE.names)
        self.listener = Listener(layered(shipped(TABLE.names), own), TABLE)

    async def message(self, id: str, egress: str = "px1", provider: str | None = "google") -> None:
        await self.store.execute(
            sql("INSERT INTO message (id, client_id, mailbox,"
                " egress_id, recipient, not_before, state, node_id, epoch, size, receiver)"
                " SELECT %(id)s, 'acme', min(address), egress_id, %(to)s, now(),"
                " 'queued', 'n1', 1, 1, %(provider)s FROM mailbox WHERE egress_id = %(egress)s"
                " GROUP BY egress_id"),
            id=id, to=f"{id.title()}@Example.test", egress=egress, provider=provider,
        )  # fmt: skip

    def event(
        self, id: str, reply: str, kind: str = "DEFERRED", host: str = GOOGLE, **more: Any
    ) -> node_pb2.MessageEvent:
        reason = f"host {host}[203.0.113.5] said: {reply} (in reply to RCPT TO command)"
        event = node_pb2.MessageEvent(
            seq=next(_seqs), message_id=id, kind=node_pb2.EventKind.Value(f"EVENT_KIND_{kind}"),
            relay=f"{host}[203.0.113.5]:25", log_line=f"line of {id}",
            **({"reason": reason} | more),
        )  # fmt: skip
        if not event.HasField("at"):
            event.at.FromDatetime(datetime.now(UTC))
        return event

    async def report(self, *events: node_pb2.MessageEvent) -> None:
        await self.take(node_pb2.EventReport(spool_id="s", events=events))

    async def take(self, report: node_pb2.EventReport) -> None:
        await Recorder(self.store, self.listener).store([Report.of("n1", report, time.monotonic())])

    async def rows(self, text: str) -> list[tuple[Any, ...]]:
        return [tuple(row.values()) for row in await self.store.fetch_all(sql(text))]

    async def limits(self) -> dict[str, float]:
        rows = await self.rows("SELECT scope, provider, subject, per_hour FROM rate_limit")
        return {f"{scope} {provider}/{subject}": rate for scope, provider, subject, rate in rows}

    async def audited(self) -> list[str]:
        rows = await self.rows(
            "SELECT action, subject FROM audit WHERE actor = 'controller/shaping' ORDER BY id"
        )
        return [f"{action} {subject}" for action, subject in rows]

    async def forward(self, hours: float) -> None:
        """Lets time pass, as far as what was begun is concerned."""
        for table, columns in (("slow_down", ("since", "lowered_at")),
                               ("suspension", ("since", "until"))):  # fmt: skip
            moved = ", ".join(f"{c} = {c} - make_interval(secs => {hours * 3600})" for c in columns)
            await self.store.execute(sql(f"UPDATE {table} SET {moved}"))


@pytest.fixture
async def scene(store: Store, tmp_path: Path) -> Scene:
    await apply(store, open_sealer(tmp_path), small_inventory(nodes=1))
    scene = Scene(store)
    await scene.message("m")
    return scene


async def test_a_refused_rate_slows_the_pair_and_nothing_else(scene: Scene) -> None:
    await scene.report(scene.event("m", RATE))
    assert await scene.limits() == {"provider-egress google/px1": 20}
    assert await scene.rows("SELECT provider, scope, permanent, rule FROM event") == [
        ("google", "reputation", False, "google-unusual-rate")
    ]
    assert await scene.audited() == ["slow-provider-egress provider-egress/google/px1"]
    [(reason, evidence)] = await scene.rows("SELECT reason, evidence FROM audit ORDER BY id DESC"
                                            " LIMIT 1")  # fmt: skip
    assert reason.startswith("google-unusual-rate: Gmail limits")
    assert evidence["line"] == "line of m"
    assert evidence["per_hour"] == 20
    assert await scene.rows("SELECT * FROM suspension") == []


async def test_a_node_whose_clock_is_behind_makes_no_words_old(scene: Scene) -> None:
    event, behind = scene.event("m", RATE), timedelta(hours=5)
    event.at.FromDatetime(datetime.now(UTC) - behind)
    report = node_pb2.EventReport(spool_id="s", events=[event])
    report.written_at.FromDatetime(datetime.now(UTC) - behind)
    await scene.take(report)
    assert await scene.limits() == {"provider-egress google/px1": 20}


async def test_a_report_that_is_repeated_counts_once(scene: Scene) -> None:
    event = scene.event("m", RATE)
    await scene.report(event)
    await scene.forward(0.5)
    before = await scene.rows("SELECT * FROM slow_down")
    await scene.report(event)
    assert await scene.rows("SELECT * FROM slow_down") == before


async def test_a_slowed_pair_recovers_step_by_step_and_is_lifted(scene: Scene) -> None:
    await scene.report(scene.event("m", RATE))
    await scene.store.execute(
        sql("UPDATE setting SET value = jsonb_set(value, '{limits,egress_per_day}', '100')"
            " WHERE name = 'fleet'")
    )  # fmt: skip
    seen = []
    recovery = Recovery(scene.store)
    for _ in range(4):
        await recovery.run_cycle()
        seen.append((await scene.limits()).get("provider-egress google/px1"))
        await scene.forward(1.001)
    assert seen == [20, 40, 80, None]
    assert (await scene.audited())[-1] == "release-provider-egress provider-egress/google/px1"


async def test_refusals_that_go_on_make_it_slower_and_are_audited(scene: Scene) -> None:
    await scene.report(scene.event("m", RATE))
    await scene.report(scene.event("m", RATE))
    assert (await scene.limits())["provider-egress google/px1"] == 20
    await scene.forward(0.2)
    await scene.report(scene.event("m", RATE))
    assert (await scene.limits())["provider-egress google/px1"] == 10
    assert len(await scene.audited()) == 2


async def test_a_block_suspends_for_its_time_and_then_starts_slowly(scene: Scene) -> None:
    blocked = ("550 5.7.1 Unfortunately, messages from [198.51.100.1] weren't sent. Please contact "
               "your Internet service provider since part of their network is on our block list "
               "(S3150).")  # fmt: skip
    await scene.message("o", provider="microsoft")
    outlook = "o.mail.protection.outlook.com"
    await scene.report(scene.event("o", blocked, "BOUNCED", outlook))
    assert await scene.limits() == {"provider-egress microsoft/px1": 0}
    [(scope, subject, source, rule, until)] = await scene.rows(
        "SELECT scope, subject, source, stage, until - now() > interval '23 h' FROM suspension"
    )
    assert (scope, subject, source, rule, until) == (
        "provider-egress", "microsoft/px1", "shaping", "microsoft-block-list", True
    )  # fmt: skip
    await scene.message("p", provider="microsoft")
    await scene.report(scene.event("p", blocked, "BOUNCED", outlook))
    assert len(await scene.audited()) == 1, "one beginning is one entry"
    await scene.forward(25)
    await Recovery(scene.store).run_cycle()
    assert await scene.rows("SELECT * FROM suspension") == []
    # An hour after its end: the second step of the recovery, not full speed.
    assert 4 <= (await scene.limits())["provider-egress microsoft/px1"] <= 8
    assert await scene.rows("SELECT * FROM suppression") == []


async def test_a_rule_that_bounces_asks_for_the_message_back_once_and_only_on_a_node(
    scene: Scene,
) -> None:
    scene.use_rule("bounce")
    await scene.message("back")
    await scene.store.execute(sql("UPDATE message SET state = 'scheduled' WHERE id = 'back'"))
    for _ in range(2):
        events = [scene.event(id, "451 4.7.1 Never here") for id in ("m", "back")]
        await scene.report(*events)
        await scene.store.execute(sql("UPDATE message SET state = 'scheduled' WHERE id = 'back'"))
    assert await scene.rows("SELECT id, cancel_asked_by FROM message ORDER BY id") == [
        ("back", "controller/shaping"), ("m", "controller/shaping")
    ]  # fmt: skip
    assert await scene.audited() == ["bounce-message message/back", "bounce-message message/m"]


async def test_a_missing_mailbox_suppresses_the_recipient_for_its_client_only(
    scene: Scene,
) -> None:
    await scene.report(scene.event("m", "550 5.1.1 no such user", "BOUNCED"))
    assert await scene.rows("SELECT client_id, recipient, reason, evidence FROM suppression") == [
        ("acme", "m@example.test", "bounce", "line of m")
    ]
    assert await scene.audited() == ["add-suppression suppression/acme"]
    assert await scene.limits() == {}


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        ("550 5.1.1 rejected: 198.51.100.1 is listed by Spamhaus", "BOUNCED"),
        ("550 5.7.1 message refused", "BOUNCED"),
        ("450 4.1.1 no such user yet", "DEFERRED"),
        ("550 5.1.1 no such user", "DEFERRED"),
        ("552 5.2.2 mailbox full", "BOUNCED"),
    ],
)
async def test_nothing_else_suppresses(scene: Scene, reply: str, kind: str) -> None:
    await scene.report(scene.event("m", reply, kind))
    assert await scene.rows("SELECT * FROM suppression") == []


async def test_what_no_receiver_said_about_this_message_has_no_consequence(scene: Scene) -> None:
    ours = "421 4.3.2 postfleet: px1 lease: unusual rate of unsolicited mail"
    said = f"host {GOOGLE}[203.0.113.5] said: {RATE} (in reply to RCPT TO command)"
    await scene.report(
        scene.event("m", RATE, gateway_stage="lease"),
        scene.event("m", "", reason=f"host {GOOGLE}[203.0.113.5] refused to talk to me: {ours}"),
        scene.event("m", "", reason=f"delivery temporarily suspended: {said}"),
        scene.event("m", "", "BOUNCED", reason="Host not found: no such user", dsn="5.4.4"),
        scene.event("somebody-elses", RATE),
    )
    assert await scene.limits() == {}
    assert await scene.audited() == []
    assert await scene.rows("SELECT * FROM suppression") == []
    scopes = await scene.rows("SELECT scope FROM event ORDER BY seq")
    assert scopes == [("",), ("",), ("",), ("",), ("reputation",)]


async def test_old_news_suspends_nothing_and_slows_as_of_then(scene: Scene) -> None:
    late = scene.event("m", RATE)
    late.at.FromDatetime(datetime.now(UTC) - timedelta(hours=2, minutes=1))
    blocked = scene.event("m", "554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked "
                               "using x.test")  # fmt: skip
    blocked.at.FromDatetime(datetime.now(UTC) - timedelta(days=2))
    await scene.report(late, blocked)
    assert await scene.limits() == {"provider-egress google/px1": 80}
    assert await scene.rows("SELECT * FROM suspension") == []


async def test_a_domain_that_was_not_found_gets_its_provider_from_who_answered(
    scene: Scene,
) -> None:
    await scene.message("late", provider=None)
    await scene.report(scene.event("late", RATE))
    assert await scene.limits() == {"provider-egress google/px1": 20}


async def test_a_rule_about_a_mailbox_stops_that_mailbox_towards_everybody(scene: Scene) -> None:
    scene.use_rule("suspend", 'scope = "mailbox"\nfor = "1d"')
    await scene.report(scene.event("m", "451 4.7.1 Never here"))
    assert await scene.rows("SELECT scope, subject FROM suspension") == [
        ("mailbox", "m1-1@acme.test")
    ]


async def test_an_operators_suspension_is_left_alone(scene: Scene) -> None:
    await scene.store.execute(
        sql("INSERT INTO suspension (scope, subject, source, reason, until) VALUES"
            " ('egress', 'px1', 'operator', 'w', now() - interval '1 h')")
    )  # fmt: skip
    await Recovery(scene.store).run_cycle()
    assert len(await scene.rows("SELECT * FROM suspension")) == 1
