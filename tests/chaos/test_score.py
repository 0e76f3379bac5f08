"""The score of a scenario: each thing that must not be is planted once and must show."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from lab.chaos.__main__ import verdict
from lab.chaos.catalogue import SCENARIOS
from lab.chaos.facts import Caps, Fault, Score
from lab.chaos.options import parse
from lab.chaos.report import print_score, print_table, write_json
from lab.chaos.score import score
from lab.demo.facts import Account, Evidence, Exit, Sighting, Submitted
from lab.proxies_log import Connection
from lab.receivers.records import Record
from lab.settings import CHECKOUT
from lab.verify.verdict import Verdict

M1, M2 = ("0" * 25 + digit for digit in "12")
N1, N2, PX, MX = "10.80.1.1", "10.80.1.2", "198.51.100.1", "203.0.113.11"
DAY = date(2026, 1, 31)
CONTENT = b"Subject: a\r\n\r\nBody\r\n"
GOOD = Verdict("pass", "acme.test", "", "pass", "", "pass", "", "pass", ("mx-1.acme.test",), "")


def opened(node: str, at: float, port: int) -> Connection:
    return Connection(at, "open", node, port, PX, "acme", PX, MX, 25)


def closed(node: str, at: float, port: int) -> Connection:
    return replace(opened(node, at, port), event="close")


def sighting(message: str, at: float) -> Sighting:
    record = Record(
        "accepted", "google", at, PX, MX, "mx-1.acme.test", "TLSv1.3", "",
        f"ann+{message}@acme.test", f"to-{message[-1]}@google.test", "dot", "", "250",
    )  # fmt: skip
    return Sighting(record, CONTENT, GOOD)


def account(message: str, state: str = "sent", node: str = "n1") -> Account:
    to = f"to-{message[-1]}@google.test"
    return Account(message, state, "ann@acme.test", "px1", node, to, "words", 1)


TRUE = Evidence(
    submitted={
        m: Submitted(m, "acme", "ann@acme.test", f"to-{m[-1]}@google.test", CONTENT)
        for m in (M1, M2)
    },
    accounts={m: account(m) for m in (M1, M2)},
    mailbox_egress={"ann@acme.test": "px1"},
    exits={"px1": Exit(PX, "mx-1.acme.test")},
    sightings=(sighting(M1, 12), sighting(M2, 31)),
    refusals=(),
    connections=(opened(N1, 11, 1), closed(N1, 13, 1), opened(N2, 30, 2), closed(N2, 32, 2)),
)
CAPS = Caps(
    used={("mailbox", "ann@acme.test", DAY): 2, ("egress", "px1", DAY): 2},
    charged={M1: DAY, M2: DAY},
    most={"mailbox": 50, "egress": 500},
)
FAULT = Fault(20.0, N1, frozenset({PX}), 15.0)


def judged(evidence: Evidence = TRUE, **more: object) -> Score:
    given = {"faults": [FAULT], "caps": CAPS, "began": 10.0, "until": 40.0} | more
    return score("some", evidence, **given)  # type: ignore[arg-type]


def with_accounts(accounts: Mapping[str, Account]) -> Evidence:
    return replace(TRUE, accounts={**TRUE.accounts, **accounts})


def test_a_true_account_holds() -> None:
    found = judged()
    assert found.holds, found.wrong
    assert (found.accepted, found.sent, found.resume_s, found.elapsed_s) == (2, 2, 11.0, 30.0)
    assert (found.lost, found.duplicates, found.overlap_ms, found.caps_exceeded) == (0, 0, 0, 0)


def test_what_no_receiver_has_is_lost() -> None:
    found = judged(replace(TRUE, sightings=TRUE.sightings[1:]))
    assert found.lost == 1
    assert not found.holds


def test_what_the_controller_forgot_is_lost() -> None:
    assert judged(replace(TRUE, accounts={M1: account(M1)})).lost == 1


def test_what_came_twice_is_counted_once_for_each_copy_too_many() -> None:
    again = (*TRUE.sightings, sighting(M2, 33), sighting(M2, 34))
    found = judged(replace(TRUE, sightings=again))
    assert found.duplicates == 2
    assert any(line.startswith("doubled") for line in found.wrong)


def test_an_overlap_counts_from_the_beginning_of_the_scenario_on() -> None:
    both = (opened(N1, 11, 1), opened(N2, 30, 2), closed(N1, 30.5, 1), closed(N2, 32, 2))
    found = judged(replace(TRUE, connections=both))
    assert found.overlap_ms == 500
    assert not found.holds
    earlier = judged(replace(TRUE, connections=both), began=35.0)
    assert earlier.overlap_ms == 0
    assert not any("two nodes" in line for line in earlier.wrong)


def test_uncertain_has_its_reason_and_is_no_contradiction_when_it_came() -> None:
    found = judged(with_accounts({M2: account(M2, "uncertain")}))
    assert (found.uncertain, found.reasons) == (1, (f"{M2} on n1: words",))
    assert found.holds


def test_uncertain_is_wrong_where_nothing_cut_a_delivery() -> None:
    found = judged(with_accounts({M2: account(M2, "uncertain")}), may_doubt=False)
    assert found.wrong == (f"uncertain, although nothing cut a delivery: {M2} on n1: words",)


def test_what_waits_on_a_node_that_stays_off_may_wait() -> None:
    evidence = with_accounts({M2: account(M2, "dispatched")})
    assert judged(evidence, may_wait_on={"n1"}).holds
    found = judged(evidence)
    assert found.waiting == 1
    assert "waiting" in found.wrong[0]


def test_a_bounce_of_what_came_is_a_contradiction() -> None:
    assert any(
        "contradicted" in w for w in judged(with_accounts({M2: account(M2, "bounced")})).wrong
    )


def test_mail_that_comes_late_from_another_node_is_late() -> None:
    found = judged(faults=[replace(FAULT, within_s=5.0)])
    assert found.only_late
    assert found.late == (
        f"mail came through {PX} from another node after 11.0 s; 5 s are allowed",
    )


def test_mail_that_never_comes_from_another_node_is_wrong() -> None:
    found = judged(faults=[replace(FAULT, at=32.5)])
    assert found.wrong == (f"no mail came through {PX} from another node than {N1}",)


LATE, WRONG = Score("a", late=("x",)), Score("a", wrong=("x",))


@pytest.mark.parametrize(
    ("scores", "code"),
    [
        ([Score("a")], 0),
        ([WRONG], 1),
        ([LATE], 1),
        ([replace(LATE, played_again=True), Score("a")], 0),
        ([replace(LATE, played_again=True), LATE], 1),
        ([replace(WRONG, played_again=True), Score("a")], 1),
        ([Score("a"), Score("b", impossible="x")], 3),
        ([WRONG, Score("b", impossible="x")], 1),
    ],
)
def test_lateness_is_forgiven_when_played_again_and_nothing_else(
    scores: list[Score], code: int
) -> None:
    assert verdict(scores) == code


def test_more_mail_than_was_charged_is_over_the_cap() -> None:
    assert judged(caps=replace(CAPS, used={})).caps_exceeded == 2


def test_a_late_step_is_late() -> None:
    assert judged(late=["late: not within 5 s: x"]).late == ("late: not within 5 s: x",)


def test_what_broke_the_scenario_itself_is_wrong_and_not_late() -> None:
    found = judged(wrong=["load: refused"])
    assert found.wrong == ("load: refused",)
    assert not found.only_late


def test_what_cannot_be_played_does_not_hold() -> None:
    assert not Score("clock", impossible="no library").holds


def test_the_report_shows_all_and_the_json_is_json(tmp_path: Path) -> None:
    out = StringIO()
    console = Console(file=out, width=80)
    scores = [
        judged(with_accounts({M2: account(M2, "uncertain")})),
        Score("never", resume_s=float("inf"), wrong=("no mail came",)),
        Score("clock", impossible="no library"),
    ]
    for each in scores:
        print_score(each, console)
    print_table(scores, console)
    text = out.getvalue()
    for words in ("no mail came", "no library", "not played", f"{M2} on n1: words", "over caps"):
        assert words in text
    write_json(scores, tmp_path / "chaos.json")
    rows = json.loads((tmp_path / "chaos.json").read_text())["scenarios"]
    assert [row["name"] for row in rows] == ["some", "never", "clock"]
    assert [row["resume_s"] for row in rows] == [11.0, None, None]
    assert [row["holds"] for row in rows] == [True, False, False]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--only", "no-such"], "no such scenario"),
        (["--nodes", "1"], "nowhere to go"),
        (["--rounds", "0"], "1 or more"),
        (["--json", "/nowhere/at/all/x.json"], "no such folder"),
        (["--name", "Chaos!"], "1 to 12 of a-z and 0-9"),
    ],
)
def test_a_mistake_on_the_command_line_is_named(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        parse(arguments, "chaos", [scenario.name for scenario in SCENARIOS])
    assert ended.value.code == 2
    assert words in capsys.readouterr().err


def test_every_scenario_says_what_it_does_and_is_documented() -> None:
    page = (CHECKOUT / "docs" / "chaos.md").read_text()
    for scenario in SCENARIOS:
        assert scenario.does.endswith("."), scenario.name
        assert f"`{scenario.name}`" in page, f"docs/chaos.md does not name {scenario.name}"
    assert len({scenario.name for scenario in SCENARIOS}) == len(SCENARIOS)


def test_ci_plays_scenarios_that_exist() -> None:
    stage = (CHECKOUT / "run").read_text().partition("stage_chaos()")[2].partition("\n}")[0]
    named = stage.partition("--only")[2].replace("\\\n", " ").split("--")[0].split()
    assert named
    assert set(named) <= {scenario.name for scenario in SCENARIOS}
