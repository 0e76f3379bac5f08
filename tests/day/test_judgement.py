"""The judgement of the day: each thing that must not be is planted once and must show."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from xml.etree import ElementTree
from zoneinfo import ZoneInfo

import pytest

from inventory.load import parse
from inventory.reference import render
from lab.day.account import differences
from lab.day.ground import OPENS, settings
from lab.day.hidden import hidden_limits, rules
from lab.day.plot import draw
from lab.day.series import Day, Hour, count
from lab.day.verdict import LEARNING_HOURS, findings
from lab.demo.facts import Account
from lab.receivers.decide import Memory, Transaction, decide
from lab.receivers.records import Record

M1, M2 = ("0" * 25 + digit for digit in "12")
BEGAN = 1_000_000.0


def record(message_id: str = M1, **more: object) -> Record:
    made = Record(
        kind="accepted", provider="google", at=BEGAN, source="198.51.100.1", target="",
        helo="", tls="", cipher="", sender=f"ann+{message_id}@a.test", recipient="r@google.test",
        stage="dot", why="accept", reply="250 2.0.0 Ok: queued",
    )  # fmt: skip
    return replace(made, **more)  # type: ignore[arg-type]


def account(message_id: str, state: str) -> Account:
    return Account(message_id, state, "ann@a.test", "px1", "n1", "r@google.test", "", 1)


@pytest.mark.parametrize(
    ("state", "copies", "said"),
    [
        ("sent", 1, ""),
        ("scheduled", 0, ""),
        ("queued", 1, ""),
        ("sent", 0, "no receiver has it"),
        ("sent", 2, "have it 2 times"),
        ("scheduled", 1, "scheduled, and a receiver has it"),
        ("bounced", 0, "ended bounced"),
        ("uncertain", 1, "ended uncertain"),
    ],
)
def test_account_and_records_must_agree(state: str, copies: int, said: str) -> None:
    records = [record()] * copies
    found = list(differences({M1}, {M1: account(M1, state)}, records, records))
    assert len(found) == bool(said)
    assert not found or said in found[0]


def test_what_went_while_the_accounts_were_read_is_no_difference() -> None:
    assert not list(differences({M1}, {M1: account(M1, "accepted")}, [], [record()]))
    assert list(differences({M1}, {M1: account(M1, "accepted")}, [], [record()] * 2))


def test_what_nobody_submitted_and_what_nobody_knows_are_differences() -> None:
    found = list(differences({M1}, {}, [], [record(M2), record(M2, kind="deferred")]))
    assert [line.partition(": ")[2] for line in found] == [
        "accepted, and the controller does not know it",
        "receivers have it, nobody submitted it",
    ]


def test_records_are_counted_by_the_hours_of_the_fast_clock() -> None:
    def seen(at: float) -> float:
        return BEGAN + (at - BEGAN) * 60

    deferred = {"kind": "deferred", "stage": "rcpt"}
    day = count(
        [
            record(at=BEGAN + 59),
            record(at=BEGAN + 61),
            record(at=BEGAN + 62, source="198.51.100.2"),
            record(at=BEGAN + 63),
            record(at=BEGAN + 64, why="rate", **deferred),
            record(at=BEGAN + 65, why="greylist", **deferred),
            record(at=BEGAN + 121),
            record(at=BEGAN - 1),
        ],
        seen, BEGAN, 2, {"google": 5}, 2,
    )  # fmt: skip
    assert day.hours == {"google": (Hour(1, 0, 1), Hour(3, 1, 2))}
    assert day.refused_share("google", 0, 2) == 0.2
    assert day.refusals("google", 0, 2) == 1 / 4
    assert day.used_share("google", 0, 2) == 4 / 20


def a_day(*hours: tuple[int, int]) -> Day:
    return Day({"google": tuple(Hour(t, r, t) for t, r in hours)}, {"google": 10}, 1)


@pytest.mark.parametrize(
    ("hour", "holds"), [((9, 1), True), ((9, 3), False), ((3, 0), False), ((0, 0), False)]
)
def test_a_limit_is_found_where_little_is_refused_and_much_is_sent(
    hour: tuple[int, int], holds: bool
) -> None:
    (finding,) = findings(a_day(*[(5, 90)] * LEARNING_HOURS, *[hour] * 4))
    assert finding.holds is holds


def test_the_receivers_keep_the_limit_themselves() -> None:
    limits = hidden_limits(8, 50, 10)
    assert limits == {"google": 6, "microsoft": 4, "yahoo": 8}
    memory, taken = Memory(), 0
    for number in range(100):
        tried = Transaction("microsoft", "198.51.100.1", "a@a.test", f"r{number}@microsoft.test")
        taken += decide(rules(limits, 60), "rcpt", tried, memory, number / 2).answer is None
    assert taken == 4
    other = Transaction("example1", "198.51.100.1", "a@a.test", "r@example1.test")
    assert all(decide(rules(limits, 60), "rcpt", other, memory, 0).answer is None for _ in "123")


@pytest.mark.parametrize("hour", range(24))
def test_the_fleet_lives_where_its_windows_have_just_opened(hour: int) -> None:
    fleet = parse(render(3, 48, 0, settings(50, hour, 20)), "day.yaml").inventory.fleet
    now = datetime(2026, 3, 2, hour, 30, tzinfo=UTC).astimezone(ZoneInfo(fleet.time_zone))
    assert now.hour == OPENS
    assert fleet.pacing.windows == ("daily 08:00-19:00",)
    assert (fleet.limits.mailbox_per_day, fleet.pacing.spread) == (50, True)


def test_the_drawing_is_well_formed_and_shows_every_hour() -> None:
    drawing = draw(a_day((5, 1), (6, 0), (0, 0)))
    tree = ElementTree.fromstring(drawing)
    bars = [each for each in tree.iter() if each.get("class") in ("taken", "refused")]
    assert len(bars) == 6
    assert 'class="limit"' in drawing
