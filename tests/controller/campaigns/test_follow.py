"""Follow-ups: made of what was kept at the start, in time, from the same mailbox, or not at all."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from controller.campaigns.after import AGAIN, UNCERTAIN
from controller.campaigns.status import status
from controller.campaigns.steer import steer
from controller.feedback.entry import Entry, Kind
from controller.feedback.take import find
from controller.feedback.take import take as take_feedback
from controller.loops.campaigns import Campaigns
from controller.message_id import parse
from controller.store import Store, Transaction
from tests.controller.campaigns.scene import end, rows, stands, start

pytestmark = pytest.mark.usefixtures("fleet")
ANN, BEN = "ann@reader.test", "ben@reader.test"
WAITING = "SELECT recipient FROM message WHERE state = 'accepted' ORDER BY recipient"


@pytest.fixture
def fleet(make_fleet: Callable[..., list[str]]) -> None:
    make_fleet("acme", mailboxes=2, egresses=2)


async def cycle(store: Store) -> str:
    return await Campaigns(store).run_cycle()


async def told(store: Store, kind: Kind, message_id: str, evidence: str = "") -> None:
    entry = Entry(kind, parse(message_id), "", "", datetime.now(UTC), evidence)

    async def work(tx: Transaction) -> None:
        (about,) = await find(tx, [entry], None)
        assert about is not None
        await take_feedback(tx, [(entry, about)], "operator/ann")

    await store.run(work)


async def test_the_chain_goes_its_way_from_one_mailbox_and_ends(
    store: Store, database: str
) -> None:
    await start(store, [ANN])
    firsts = end(database, "sent", days_ago=2.9)
    await cycle(store)
    assert rows(database, WAITING) == []
    rows(
        database, "UPDATE campaign_recipient SET next_at = next_at - interval '3 hours' RETURNING 1"
    )
    await cycle(store)
    assert rows(database, WAITING) == [ANN]
    assert stands(database) == {ANN: ("open", 1, "")}
    mailbox = rows(database, f"SELECT mailbox FROM message WHERE id = '{firsts[0]}'")
    assert rows(database, "SELECT DISTINCT mailbox FROM message") == mailbox
    assert rows(database, "SELECT l.follow_up FROM message AS m JOIN campaign_lane AS l"
                          " ON l.id = m.lane WHERE m.state = 'accepted'") == [True]  # fmt: skip
    end(database, "sent", days_ago=8)
    for _ in range(2):
        await cycle(store)
    assert stands(database) == {ANN: ("done", 2, "")}
    end(database, "sent")
    await cycle(store)
    assert rows(database, "SELECT count(*) FROM message") == [3]
    assert rows(database, "SELECT count(*) FROM campaign_follow_up") == [0]
    assert rows(database, "SELECT state FROM campaign") == ["finished"]
    whole = rows(database, "SELECT added || content FROM message_content ORDER BY message_id")
    heads = [bytes(each).split(b"\r\n\r\n")[0].decode() for each in whole]
    own = [re.findall(r"^Message-ID: (<.*>)\r$", head, re.MULTILINE) for head in heads]
    assert len({each for (each,) in own}) == 3
    for name in ("In-Reply-To", "References"):
        found = [re.findall(rf"^{name}: (<.*>)\r$", head, re.MULTILINE) for head in heads]
        assert found == [[], own[0], own[0]]


async def test_cycles_that_are_repeated_or_side_by_side_double_nothing(
    store: Store, database: str
) -> None:
    people = [f"p{n:03}@reader.test" for n in range(300)]
    await start(store, people, delays_days=[1])
    end(database, "sent", days_ago=2)
    while any(await asyncio.gather(*(_did(store) for _ in range(3)))):
        pass
    assert rows(database, WAITING) == people
    assert rows(database, "SELECT count(*) FROM campaign_follow_up") == [0]
    assert set(stands(database).values()) == {("done", 1, "")}


async def _did(store: Store) -> bool:
    return "no campaign" not in await cycle(store)


@pytest.mark.parametrize(
    ("state", "why"),
    [("bounced", "a message bounced"), ("expired", "a message was not taken in time"),
     ("cancelled", "a message was cancelled"), ("suppressed", "the recipient is suppressed")],
)  # fmt: skip
async def test_nothing_follows_what_did_not_arrive(
    store: Store, database: str, state: str, why: str
) -> None:
    await start(store, [ANN, BEN])
    end(database, state, ANN)
    end(database, "sent", BEN)
    await cycle(store)
    assert stands(database) == {ANN: ("stopped", 0, why), BEN: ("open", 0, "")}
    assert rows(database, "SELECT DISTINCT recipient FROM campaign_follow_up") == [BEN]
    shown = await store.run(lambda tx: status(tx, "november"))
    assert dict(shown.stopped) == {why: 1}
    (step,) = shown.steps
    assert (step.step, step.under_way, step.waiting) == (0, 0, 1)
    assert step.HasField("next_at")


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        (Kind.REPLY, "the recipient replied"),
        (Kind.BOUNCE, "a message bounced"),
        (Kind.UNSUBSCRIBE, "the recipient unsubscribed"),
        (Kind.COMPLAINT, "the recipient complained"),
    ],
)
async def test_whoever_answers_gets_no_more(
    store: Store, database: str, kind: Kind, why: str
) -> None:
    """Also where the next message waits already: it is taken back."""
    await start(store, [ANN, BEN])
    await start(store, [ANN], id="december")
    end(database, "sent", days_ago=4)
    await cycle(store)
    assert rows(database, WAITING) == [ANN, ANN, BEN]
    first = rows(
        database,
        "SELECT m.id FROM message AS m JOIN campaign_lane AS l ON l.id = m.lane"
        f" WHERE l.campaign_id = 'november' AND recipient = '{ANN}' AND m.state = 'sent'",
    )
    for _ in range(2):
        await told(store, kind, first[0])
    ends_all = kind in (Kind.UNSUBSCRIBE, Kind.COMPLAINT)
    assert rows(database, WAITING) == ([BEN] if ends_all else [ANN, BEN])
    found = rows(database, "SELECT campaign_id, state, reason FROM campaign_recipient"
                           f" WHERE recipient = '{ANN}' ORDER BY campaign_id")  # fmt: skip
    assert found[1] == ("november", "stopped", why)
    assert found[0] == ("december", *(("stopped", why) if ends_all else ("open", "")))
    await cycle(store)
    left = "SELECT count(*) FROM message WHERE recipient = 'ann@reader.test' AND state = 'accepted'"
    assert rows(database, left) == [0 if ends_all else 1]


async def test_doubt_stops_or_is_sent_once_more(store: Store, database: str) -> None:
    await start(store, [ANN])
    await start(store, [BEN], id="december", on_uncertain="resend")
    end(database, "uncertain")
    await cycle(store)
    assert stands(database) == {ANN: ("stopped", 0, UNCERTAIN), BEN: ("open", 0, AGAIN)}
    assert rows(database, WAITING) == [BEN]
    assert rows(database, "SELECT reason FROM message WHERE state = 'accepted'") == [
        "its campaign december sends again what is uncertain"
    ]
    end(database, "uncertain")
    await cycle(store)
    assert stands(database)[BEN] == ("stopped", 0, UNCERTAIN)
    # An operator, or a late report, says that it was sent after all.
    rows(
        database, "UPDATE message SET state = 'sent', awaited = true, final_at = now() RETURNING 1"
    )
    await cycle(store)
    assert {state for state, _, _ in stands(database).values()} == {"open"}
    assert rows(database, "SELECT count(*) FROM campaign_recipient WHERE next_at IS NULL") == [0]


async def test_a_pause_holds_what_is_due_and_a_cancel_ends_it(store: Store, database: str) -> None:
    await start(store, [ANN])
    end(database, "sent", days_ago=4)
    await store.run(lambda tx: steer(tx, "november", "pause", "", "operator/ann"))
    await cycle(store)
    assert rows(database, WAITING) == []
    await store.run(lambda tx: steer(tx, "november", "resume", "", "operator/ann"))
    await cycle(store)
    assert rows(database, WAITING) == [ANN]
    await store.run(lambda tx: steer(tx, "november", "cancel", "", "operator/ann"))
    await cycle(store)
    assert rows(database, WAITING) == []
    assert stands(database) == {ANN: ("stopped", 1, "the campaign was cancelled")}


async def test_who_was_suppressed_or_whose_mailbox_went_gets_nothing_and_it_says_so(
    store: Store, database: str
) -> None:
    await start(store, [ANN, BEN])
    end(database, "sent", days_ago=4)
    rows(database, f"INSERT INTO suppression (client_id, recipient, reason) VALUES"
                   f" ('acme', '{ANN}', 'manual') RETURNING 1")  # fmt: skip
    rows(database, "UPDATE message SET mailbox = 'gone@d0.acme.test' WHERE recipient LIKE 'ben%'"
                   " RETURNING 1")  # fmt: skip
    await cycle(store)
    assert stands(database) == {
        ANN: ("stopped", 0, "the recipient is suppressed"),
        BEN: ("stopped", 0, "its mailbox left the inventory"),
    }
    assert rows(database, "SELECT count(*) FROM campaign_follow_up") == [0]
    await cycle(store)
    assert rows(database, "SELECT state FROM campaign") == ["finished"]
