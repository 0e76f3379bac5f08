"""The witnesses' arithmetic: what each plants must be found, to the millisecond and the message."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.chaos.caps import exceeded
from lab.chaos.facts import Caps, End, Fault
from lab.chaos.overlap import Span, overlap_ms, spans, with_ends
from lab.chaos.resume import resume_s, resumed
from lab.conntrack import Flow, ended, flows
from lab.proxies_log import Connection
from lab.receivers.records import Kind, Record

N1, N2, PX, MX = "10.80.1.1", "10.80.1.2", "198.51.100.1", "203.0.113.11"
DAY = date(2026, 1, 31)
M1, M2 = "0" * 25 + "1", "0" * 25 + "2"


def seen(
    event: Literal["open", "close"], at: float, node: str = N1, port: int = 1, target_port: int = 25
) -> Connection:
    return Connection(at, event, node, port, PX, "acme", PX, MX, target_port)


def record(at: float, kind: Kind = "accepted", message: str = M1, source: str = PX) -> Record:
    return Record(
        kind, "google", at, source, MX, "mx", "", "", f"ann+{message}@acme.test", "to@google.test",
        "dot", "", "250",
    )  # fmt: skip


def test_connections_one_after_the_other_do_not_overlap() -> None:
    log = [seen("open", 1), seen("close", 2), seen("open", 2, N2), seen("close", 3, N2)]
    assert overlap_ms(spans(with_ends(log, []), until=9)) == 0


def test_two_nodes_at_once_overlap_for_as_long_as_both_have_it_open() -> None:
    log = [seen("open", 1), seen("open", 2, N2), seen("close", 2.25), seen("close", 3, N2)]
    assert overlap_ms(spans(with_ends(log, []), until=9)) == 250


def test_two_connections_of_one_node_are_no_overlap() -> None:
    log = [seen("open", 1), seen("open", 2, port=2), seen("close", 3), seen("close", 4, port=2)]
    assert overlap_ms(spans(with_ends(log, []), until=9)) == 0


def test_an_overlap_shorter_than_a_millisecond_is_one() -> None:
    assert overlap_ms([Span(PX, N1, 1, 2), Span(PX, N2, 1.9999, 3)]) == 1


def test_an_end_that_never_reached_the_proxies_counts_when_another_witness_saw_it() -> None:
    log = [seen("open", 1), seen("open", 5, N2), seen("close", 600), seen("close", 6, N2)]
    assert overlap_ms(spans(with_ends(log, []), until=601)) == 1000
    reset = End(4.5, N1, 1, PX)
    assert overlap_ms(spans(with_ends(log, [reset]), until=601)) == 0


def test_a_power_cut_ends_all_connections_of_that_node_and_of_no_other() -> None:
    log = [seen("open", 1), seen("open", 1.5, N2), seen("open", 5, N2, 7)]
    assert overlap_ms(spans(with_ends(log, [End(2, N1)]), until=6)) == 500


def test_an_end_before_the_beginning_belongs_to_an_earlier_use_of_the_port() -> None:
    log = [seen("open", 5), seen("open", 6, N2)]
    assert overlap_ms(spans(with_ends(log, [End(4, N1, 1, PX)]), until=7)) == 1000


def test_a_port_used_again_ends_its_earlier_connection() -> None:
    log = [seen("open", 1), seen("open", 8), seen("close", 9), seen("open", 7, N2)]
    assert overlap_ms(spans(with_ends(log, []), until=9)) == 2000


def test_what_is_not_smtp_is_not_counted() -> None:
    log = [seen("open", 1, target_port=7444), seen("open", 2, N2)]
    assert overlap_ms(spans(with_ends(log, []), until=9)) == 0


times = st.integers(0, 40).map(lambda tenths: tenths / 10)
span = st.builds(
    lambda node, at, length: Span(PX, node, at, at + length),
    st.sampled_from([N1, N2]),
    times,
    times,
)


@given(st.lists(span, max_size=8))
def test_the_overlap_is_what_counting_every_tenth_of_a_second_gives(found: list[Span]) -> None:
    """Against a referee that looks at each instant."""
    both = 0
    for tick in range(81):
        at = tick / 10 + 0.05
        both += len({s.client for s in found if s.began < at < s.ended}) > 1
    assert abs(overlap_ms(found) - both * 100) <= 1


FAULT = Fault(10.0, N1, frozenset({PX, "198.51.100.2"}), 15.0)


def test_mail_counts_as_resumed_when_it_came_from_another_node_after_the_fault() -> None:
    log = [seen("open", 9), seen("open", 14, N2, 3)]
    records = [record(9.5), record(11), record(14.5), record(15)]
    assert resumed(FAULT, log, records) == {PX: 4.5, "198.51.100.2": None}


def test_refusals_and_connections_that_are_not_smtp_do_not_show_that_mail_flows() -> None:
    log = [seen("open", 12, N2, 3, target_port=7444), seen("open", 9)]
    assert resumed(FAULT, log, [record(13)])[PX] is None
    log.append(seen("open", 14, N2, 4))
    assert resumed(FAULT, log, [record(15, "deferred"), record(16, "unanswered")])[PX] == 6


@pytest.mark.parametrize(
    ("found", "slowest"), [([1.0, 3.0], 3.0), ([1.0, None], float("inf")), ([], None)]
)
def test_the_slowest_egress_counts(found: list[float | None], slowest: float | None) -> None:
    assert resume_s(found) == slowest


CAPS = Caps(
    used={("mailbox", "ann@acme.test", DAY): 2, ("egress", "px1", DAY): 2},
    charged={M1: DAY, M2: DAY},
    most={"mailbox": 3, "egress": 3},
)
EGRESS_OF = {"ann@acme.test": "px1"}


def test_what_was_charged_may_come() -> None:
    assert exceeded(CAPS, [record(1), record(2, message=M2)], EGRESS_OF) == []
    assert exceeded(CAPS, [record(n, "deferred") for n in range(9)], EGRESS_OF) == []


def test_more_than_was_charged_is_found_for_mailbox_and_egress() -> None:
    found = exceeded(CAPS, [record(1), record(2), record(3, message=M2)], EGRESS_OF)
    assert [line.split(":")[0] for line in found] == [
        f"egress px1 on {DAY}",
        f"mailbox ann@acme.test on {DAY}",
    ]
    assert all("charged were 2" in line for line in found)


def test_more_than_the_cap_is_found_at_the_receivers_and_in_the_ledger() -> None:
    assert "its cap is 3" in exceeded(CAPS, [record(n) for n in range(4)], EGRESS_OF)[0]
    used = {("mailbox", "ann@acme.test", DAY): 4}
    assert exceeded(replace(CAPS, used=used), [], EGRESS_OF) == [
        f"mailbox ann@acme.test on {DAY}: 4 charged, its cap is 3"
    ]


def test_mail_that_was_charged_to_no_day_is_found() -> None:
    assert "charged to no day" in exceeded(CAPS, [record(1, message="v" * 26)], EGRESS_OF)[0]


FLOW = (
    f"src={N1} dst={PX} sport=48380 dport=1080 "
    f"src={PX} dst={N1} sport=1080 dport=48380 [ASSURED] mark=0 use=1"
)

THIS = Flow(N1, 48380, PX)


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (f"tcp      6 431999 ESTABLISHED {FLOW}", {THIS: True}),
        (f"tcp      6 119 SYN_SENT {FLOW}".replace(f"src={PX}", f"[X] src={PX}"), {THIS: True}),
        (f"tcp      6 10 CLOSE {FLOW}", {THIS: False}),
        (f"tcp      6 120 FIN_WAIT {FLOW}", {THIS: False}),
        (f"tcp      6 60 CLOSE_WAIT {FLOW}", {THIS: False}),
        ("conntrack v1.4.7 (conntrack-tools): 4 flow entries have been shown.", {}),
        ("tcp      6 10 ESTABL", {}),
    ],
)
def test_conntrack_tells_which_connections_are_open(line: str, found: dict[Flow, bool]) -> None:
    assert flows(f"{line}\n") == found


@pytest.mark.parametrize(
    ("before", "after", "ends"),
    [
        ({THIS: True}, {THIS: True}, []),
        ({THIS: True}, {THIS: False}, [THIS]),
        ({THIS: True}, {}, [THIS]),
        ({}, {THIS: False}, [THIS]),
        ({THIS: False}, {THIS: False}, []),
        ({THIS: False}, {}, []),
        ({THIS: False}, {THIS: True}, []),
    ],
)
def test_each_end_is_seen_once(
    before: dict[Flow, bool], after: dict[Flow, bool], ends: list[Flow]
) -> None:
    assert ended(before, after) == ends
