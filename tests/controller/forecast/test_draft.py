"""A campaign that was not started is foreseen as it would be after its start; nothing stays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from postfleet.v1 import forecast_pb2

from controller.fleet.errors import RefusedError
from controller.fleet.ordering import run_order
from controller.forecast.draft import read_draft
from controller.forecast.read import Known, read
from controller.forecast.run import foresee
from controller.forecast.service import told
from controller.store import Store
from tests.controller.campaigns.scene import rows, settings, start

PEOPLE = [f"p{n:02}@reader.test" for n in range(40)]
HERE = [{"domain": "reader.test", "count": 40}]
TRACES = (
    "SELECT (SELECT count(*) FROM campaign), (SELECT count(*) FROM campaign_lane),"
    " (SELECT count(*) FROM audit), (SELECT count(*) FROM message)"
)


async def look(store: Store, groups: list[dict[str, Any]], **more: Any) -> Known:
    recipients = [forecast_pb2.DraftRecipients(**group) for group in groups]
    wanted = settings(**more)
    return await run_order(
        store, lambda tx: read_draft(tx, wanted, recipients, "operator/ann"), dry_run=True
    )


def days(known: Known) -> forecast_pb2.CampaignForecast:
    return told(known, foresee(known.situation, 60))


@pytest.fixture
def three_boxes(
    make_fleet: Callable[..., list[str]], limit_fleet: Callable[..., None]
) -> list[str]:
    limit_fleet(mailbox_per_day=6, mailbox_per_hour=2)
    return make_fleet("acme", mailboxes=3, egresses=1)


async def test_it_is_what_a_start_is_foreseen_to_become(
    store: Store, database: str, three_boxes: list[str]
) -> None:
    before = rows(database, TRACES)
    draft = days(await look(store, HERE))
    assert rows(database, TRACES) == before, "nothing stays"
    await start(store, PEOPLE)
    known = await store.run(lambda tx: read(tx, "november"))
    started = days(known)
    assert draft.state == "draft"
    assert [(day.date, day.first_messages, day.follow_ups) for day in draft.days] == [
        (day.date, day.first_messages, day.follow_ups) for day in started.days
    ]
    assert [step.messages for step in draft.steps] == [40, 40, 40]
    assert draft.provider_unknown == 40
    assert (draft.mailboxes_able, draft.mailboxes) == (3, 3)


async def test_one_that_is_there_is_foreseen_as_the_file_has_it_now(
    store: Store, database: str, three_boxes: list[str]
) -> None:
    await start(store, PEOPLE[:10], delays_days=[])
    before = rows(database, TRACES)
    slower = days(await look(store, HERE, delays_days=[], burst_per_hour=1))
    assert (slower.state, slower.provider_unknown) == ("running", 10)
    assert sum(day.first_messages for day in slower.days) == 10
    assert "the campaign's burst of the hour is used" in [each.what for each in slower.limits]
    assert rows(database, TRACES) == before
    assert rows(database, "SELECT burst_per_hour FROM campaign") == [None]


async def test_providers_that_were_looked_up_count_with_their_limits(
    store: Store, database: str, three_boxes: list[str], limit_fleet: Callable[..., None]
) -> None:
    limit_fleet(domain_provider_per_day=2)
    rows(database, "INSERT INTO mail_domain (domain, receiver, outcome) VALUES"
                   " ('reader.test', 'google', 'found'), ('small.test', 'mx.small.test', 'found')"
                   " RETURNING 1")  # fmt: skip
    groups = [*HERE, {"domain": "SMALL.test", "count": 3}, {"domain": "new.test", "count": 2}]
    known = await look(store, groups, delays_days=[])
    assert {heap.provider: heap.count for heap in known.situation.heaps} == {
        "google": 40, "other": 3, "unknown": 2
    }  # fmt: skip
    found = days(known)
    assert found.provider_unknown == 2
    assert len(found.days) >= 40 / 2


async def test_what_a_start_would_refuse_is_refused(store: Store, three_boxes: list[str]) -> None:
    with pytest.raises(RefusedError, match=r"domain 'stranger\.test' is not of client acme"):
        await look(store, HERE, domains=["stranger.test"], mailboxes=[])
    with pytest.raises(RefusedError, match="client 'nobody' is not in the inventory"):
        await look(store, HERE, client_id="nobody")


async def test_recipients_where_its_windows_never_meet_are_counted_apart(
    store: Store, three_boxes: list[str]
) -> None:
    groups = [*HERE, {"time_zone": "Mars/Olympus", "domain": "reader.test", "count": 7}]
    found = days(await look(store, groups, delays_days=[]))
    assert (found.refused, sum(day.first_messages for day in found.days)) == (7, 40)
