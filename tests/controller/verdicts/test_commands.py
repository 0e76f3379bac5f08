"""postfleet health and resume, as an operator types them."""

from __future__ import annotations

import psycopg
import pytest
from prometheus_client import generate_latest

from controller.health.counts import COMPLAINT, SENT
from controller.health.tally import Tally, Whose
from controller.loops.health import Health
from controller.metrics import REGISTRY
from controller.store import Transaction
from tests.controller.cli.conftest import Cli
from tests.controller.cli.conftest import cli as cli
from tests.controller.served import Served
from tests.controller.served import served as served

ADA = "ada.arendt@harbor-mail.test"


async def complained(served: Served, mailbox: str = ADA) -> str:
    """Four complaints in 350 messages; judged. Gives the mailbox's egress."""
    store = served.controller.store
    with psycopg.connect(served.database) as connection:
        (row,) = connection.execute(
            "SELECT egress_id FROM mailbox WHERE address = %s", (mailbox,)
        ).fetchall()

    async def work(tx: Transaction) -> None:
        tally = Tally()
        for number in range(354):
            kind = SENT if number < 350 else COMPLAINT
            tally.add(Whose(mailbox, row[0], "google"), kind)
        await tally.write(tx)

    await store.run(work)
    await Health(store).run_cycle()
    return str(row[0])


async def test_a_paused_mailbox_is_shown_with_all_that_led_to_it(cli: Cli, served: Served) -> None:
    await cli.apply()
    egress = await complained(served)
    listed = await cli("health", "mailbox", "--band", "paused", "--json")
    assert [(each["subject"], each["band"]) for each in listed.data] == [(ADA, "paused")]
    shown = await cli("health", "mailbox", ADA.upper())
    assert shown.code == 0
    for words in ("paused", "4 complaints of 350", "Rates, as estimated", "google", "complaint"):
        assert words in shown.out
    detail = (await cli("health", "mailbox", ADA, "--json")).data
    assert sum(part["points"] for part in detail["parts"]) == pytest.approx(
        detail["health"]["score"] - 100
    )
    above = await cli("health", "egress", egress)
    assert f"stopped: {ADA}" in above.out
    metrics = generate_latest(REGISTRY).decode()
    assert 'postfleet_health_subjects{band="paused",scope="mailbox"} 1.0' in metrics
    assert (await cli("health", "domain", "nowhere.test")).code == 4
    assert (await cli("health", "domain", "--band", "purple")).code == 1
    unjudged = await cli("health", "mailbox", "--json")
    assert len(unjudged.data) == 1


async def test_an_operator_lets_it_go_on_with_a_reason_and_it_is_not_stopped_again(
    cli: Cli, served: Served
) -> None:
    await cli.apply()
    await complained(served)
    released = await cli("mailbox", "release", ADA)
    assert "still suspended by health: paused: until" in released.out
    dry = await cli("mailbox", "resume", ADA, "--reason", "a test of ours", "--dry-run")
    assert "would go on at the bottom of its warm-up" in dry.out
    assert (await cli("health", "mailbox", "--band", "paused", "--json")).data != []
    ran = await cli("mailbox", "resume", ADA, "--reason", "a test of ours", "--json")
    assert (ran.data["changed"], ran.data["before"]["band"]) == (True, "paused")
    await Health(served.controller.store).run_cycle()
    assert (await cli("health", "mailbox", ADA, "--json")).data["health"]["band"] == "watch"
    (box,) = [b for b in (await cli("mailbox", "list", "--json")).data if b["address"] == ADA]
    assert (box["reason"], box["state"]) == ("day 1 of 35 of its warm-up", "warming")
    audit = (await cli("audit", "list", "--subject", f"mailbox/{ADA}", "--json")).data
    (entry,) = [each for each in audit if each["action"] == "resume-mailbox"]
    assert entry["reason"] == "a test of ours"
    assert "4 complaints of 350" in entry["evidence"]["because"]
    again = await cli("mailbox", "resume", ADA, "--reason", "once more")
    assert "health neither stops nor slows it; nothing changed" in again.out
    assert (await cli("mailbox", "resume", "no@harbor-mail.test", "--reason", "x")).code == 4


async def test_as_it_was_leaves_the_warm_up_alone(cli: Cli, served: Served) -> None:
    await cli.apply()
    await complained(served)
    ran = await cli("mailbox", "resume", ADA, "--reason", "counted wrongly", "--as-it-was")
    assert "goes on where it was" in ran.out
    (box,) = [b for b in (await cli("mailbox", "list", "--json")).data if b["address"] == ADA]
    assert box["state"] == "active"
