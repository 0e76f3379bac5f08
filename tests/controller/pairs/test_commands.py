"""Operators see what receivers slowed or stopped, and release it."""

from __future__ import annotations

from controller.store import Store
from tests.controller.cli.conftest import Cli
from tests.controller.cli.conftest import cli as cli
from tests.controller.served import served as served
from tests.controller.small_fleet import sql


async def slow(store: Store, subject: str, scope: str = "provider-egress") -> None:
    await store.execute(
        sql("INSERT INTO slow_down (scope, provider, subject, per_hour, since, lowered_at, rule,"
            " reason, evidence) VALUES (%(scope)s, 'google', %(subject)s, 20, now(), now(),"
            " 'google-unusual-rate', 'too fast', '{\"line\": \"the log line\"}')"),
        scope=scope, subject=subject,
    )  # fmt: skip


async def stop(store: Store, subject: str, source: str) -> None:
    await store.execute(
        sql("INSERT INTO suspension (scope, subject, source, stage, reason, until) VALUES"
            " ('provider-egress', %(subject)s, %(source)s, 'a-rule', 'blocked',"
            " now() + interval '2 h')"),
        subject=subject, source=source,
    )  # fmt: skip


async def test_pairs_are_listed_with_what_says_so(cli: Cli) -> None:
    store = cli.served.controller.store
    assert "no receiver" in (await cli("shaping", "pairs")).err
    await slow(store, "px1")
    await slow(store, "acme.test", "provider-domain")
    await stop(store, "yahoo/px2", "shaping")
    pairs = (await cli("shaping", "pairs", "--json")).data
    assert [(p["provider"], p["subject"], p["state"], p["per_hour"]) for p in pairs] == [
        ("google", "acme.test", "slowed", 20),
        ("google", "px1", "slowed", 20),
        ("yahoo", "px2", "stopped", 0),
    ]
    assert pairs[1]["log_line"] == "the log line"
    assert pairs[2]["rule"] == "a-rule"
    assert pairs[2]["until"]
    few = await cli("shaping", "pairs", "--limit", "1", "--provider", "google", "--json")
    assert [p["subject"] for p in few.data] == ["acme.test"]
    assert "google-unusual-rate" in (await cli("shaping", "pairs")).out


async def test_a_released_pair_begins_slowly(cli: Cli) -> None:
    store = cli.served.controller.store
    await stop(store, "google/px1", "breaker")
    dry = await cli("shaping", "release", "google/px1", "--dry-run")
    assert "would be released" in dry.out
    ran = await cli("shaping", "release", "google/px1", "--reason", "delisted")
    assert "begins with 4 messages an hour" in ran.out
    [pair] = (await cli("shaping", "pairs", "--json")).data
    assert (pair["state"], pair["per_hour"]) == ("slowed", 4)
    [entry] = (await cli("audit", "list", "--subject", "provider-egress/google/px1", "--json")).data
    assert (entry["action"], entry["reason"]) == ("release-provider-egress", "delisted")
    free = await cli("shaping", "release", "google/px1", "--at-once", "--json")
    assert free.data == {"dry_run": False, "changed": True, "per_hour": 0}
    assert (await cli("shaping", "pairs", "--json")).data == []
    assert "nothing changed" in (await cli("shaping", "release", "google/px1")).out


async def test_what_an_operator_stopped_is_not_released(cli: Cli) -> None:
    store = cli.served.controller.store
    await stop(store, "google/px1", "operator")
    assert "nothing changed" in (await cli("shaping", "release", "google/px1")).out
    assert len((await cli("shaping", "pairs", "--json")).data) == 1


async def test_an_egress_stopped_by_a_rule_is_released(cli: Cli) -> None:
    store = cli.served.controller.store
    await store.execute(
        sql("INSERT INTO suspension (scope, subject, source, stage, reason) VALUES"
            " ('egress', 'px1', 'shaping', 'spamhaus', 'listed'),"
            " ('mailbox', 'm@acme.test', 'shaping', 'yandex', 'spam')")
    )  # fmt: skip
    assert "is free" in (await cli("shaping", "release", "px1")).out
    assert "is free" in (await cli("shaping", "release", "m@acme.test")).out
    assert (await cli("shaping", "pairs", "--json")).data == []
    assert "nothing changed" in (await cli("shaping", "release", "acme.test")).out


async def test_what_is_no_pair_is_a_mistake(cli: Cli) -> None:
    assert (await cli("shaping", "release", "google/")).code == 2
    assert (await cli("shaping", "release", "/px1")).code == 2
