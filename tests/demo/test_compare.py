"""The demo's judgement: each kind of difference is planted once and must be found."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Literal

import pytest
from rich.console import Console

from lab.demo.compare import CODES, compare, token
from lab.demo.facts import Account, Evidence, Exit, Sighting, Submitted
from lab.demo.octets import body_difference, fields, header_difference, split
from lab.demo.report import make_report, print_report, write_json
from lab.demo.witness import overlaps
from lab.proxies_log import Connection
from lab.receivers.records import Record
from lab.verify.verdict import Verdict

M1, M2, M3 = ("0" * 25 + digit for digit in "123")
OTHER = "v" * 26
ADDED = b"Received: from n1\r\n\tby x\r\nDKIM-Signature: v=1\r\nFrom: a@acme.test\r\n"
CONTENT = b"Subject: a\r\n b\r\nX-Two: 2\r\n\r\nBody\r\n..\r\n"
REFUSAL = "550-5.7.26 Blocked because\n550 5.7.26 unauthenticated."
REASON = (
    "host mx.google.test[203.0.113.11] said: 550-5.7.26 Blocked because 550 5.7.26"
    " unauthenticated. (in reply to end of DATA command)"
)


def record(message_id: str, kind: str = "accepted", **changes: str) -> Record:
    values = {
        "provider": "google",
        "source": "198.51.100.1",
        "target": "203.0.113.11",
        "helo": "mx-1.acme.test",
        "tls": "TLSv1.3",
        "cipher": "TLS_AES_256_GCM_SHA384",
        "sender": f"ann+{message_id}@acme.test",
        "recipient": f"to-{message_id[-1]}@google.test",
        "stage": "dot",
        "why": "accept",
        "reply": "250 2.0.0 Ok: queued",
        "raw": "raw/1.eml",
    }
    return Record(kind=kind, at=0.0, **(values | changes))  # type: ignore[arg-type]


def submitted(message_id: str) -> Submitted:
    return Submitted(
        message_id, "acme", "ann@acme.test", f"to-{message_id[-1]}@google.test", CONTENT
    )


def account(message_id: str, state: str = "sent", **changes: str | int) -> Account:
    values: dict[str, str | int] = {
        "mailbox": "ann@acme.test",
        "egress": "px1",
        "node": "n1",
        "recipient": f"to-{message_id[-1]}@google.test",
        "reason": "250 2.0.0 Ok: queued",
        "attempts": 1,
    }
    return Account(message_id, state, **(values | changes))  # type: ignore[arg-type]


def through(
    event: Literal["open", "close"], node: str, port: int, target_port: int = 25
) -> Connection:
    return Connection(
        at=0.0,
        event=event,
        client=node,
        client_port=port,
        proxy="198.51.100.1",
        user="acme",
        exit="198.51.100.1",
        target="203.0.113.11",
        target_port=target_port,
    )


GOOD = Verdict(
    "pass", "acme.test", "", "pass", "", "pass", "", "pass", ("mx-1.acme.test",), "acme.test"
)
SEEN = Sighting(record(M1), ADDED + CONTENT, GOOD)
TRUE = Evidence(
    submitted={m: submitted(m) for m in (M1, M2, M3)},
    accounts={
        M1: account(M1),
        M2: account(M2, "bounced", reason=REASON),
        M3: account(M3, attempts=2),
    },
    mailbox_egress={"ann@acme.test": "px1", "bob@acme.test": "px2"},
    exits={
        "px1": Exit("198.51.100.1", "mx-1.acme.test"),
        "px2": Exit("198.51.100.2", "mx-2.acme.test"),
    },
    sightings=(SEEN, replace(SEEN, record=record(M3))),
    refusals=(
        record(M2, "refused", reply=REFUSAL),
        record(M3, "deferred", stage="rcpt", reply="450 4.2.0 Greylisted"),
    ),
    connections=(through("open", "n1", 1), through("close", "n1", 1)),
)


def with_account(evidence: Evidence, changed: Account) -> Evidence:
    return replace(evidence, accounts={**evidence.accounts, changed.message_id: changed})


def with_first(evidence: Evidence, changed: Sighting) -> Evidence:
    return replace(evidence, sightings=(changed, *evidence.sightings[1:]))


def with_record(**changes: str) -> Evidence:
    return with_first(TRUE, replace(SEEN, record=record(M1, **changes)))


def with_verdict(**changes: object) -> Evidence:
    return with_first(TRUE, replace(SEEN, verdict=replace(GOOD, **changes)))


def with_content(content: bytes) -> Evidence:
    return with_first(TRUE, replace(SEEN, content=content))


def seen_by_proxies(*connections: Connection) -> Evidence:
    return replace(TRUE, connections=connections)


def without_account() -> Evidence:
    return replace(TRUE, accounts={m: a for m, a in TRUE.accounts.items() if m != M1})


PLANTED: list[tuple[str, Callable[[], Evidence]]] = [
    ("unaccounted", without_account),
    ("unfinished", lambda: with_account(TRUE, account(M2, "queued", reason="waits"))),
    ("lost", lambda: replace(TRUE, sightings=TRUE.sightings[1:])),
    ("doubled", lambda: replace(TRUE, sightings=(SEEN, *TRUE.sightings))),
    ("contradicted", lambda: with_account(TRUE, account(M1, "expired"))),
    ("stranger", lambda: with_record(sender=f"ann+{OTHER}@acme.test")),
    ("stranger", lambda: with_record(sender="ann@acme.test")),
    ("stranger", lambda: with_record(sender="<>")),
    ("wrong-recipient", lambda: with_record(recipient="else@google.test")),
    ("wrong-sender", lambda: with_record(sender=f"bob+{M1}@acme.test")),
    ("wrong-sender", lambda: with_account(TRUE, account(M1, mailbox="bob@acme.test"))),
    ("wrong-egress", lambda: with_account(TRUE, account(M1, egress="px2"))),
    ("wrong-egress", lambda: with_account(TRUE, account(M1, egress=""))),
    ("wrong-exit-ip", lambda: with_record(source="198.51.100.2")),
    ("wrong-exit-ip", lambda: replace(TRUE, exits={})),
    ("unwitnessed", lambda: replace(TRUE, connections=())),
    ("unwitnessed", lambda: with_record(target="203.0.113.12")),
    ("two-senders", lambda: seen_by_proxies(through("open", "n1", 1), through("open", "n2", 1))),
    ("wrong-helo", lambda: with_record(helo="localhost")),
    ("helo-not-ptr", lambda: with_verdict(ptr=())),
    ("fcrdns", lambda: with_verdict(fcrdns="fail")),
    ("no-tls", lambda: with_record(tls="")),
    ("dkim", lambda: with_verdict(dkim="fail")),
    ("dkim", lambda: with_verdict(dkim_domain="evil.test")),
    ("spf", lambda: with_verdict(spf="softfail")),
    ("dmarc", lambda: with_verdict(dmarc="none")),
    ("body", lambda: with_content(ADDED + CONTENT.replace(b"..", b"."))),
    ("body", lambda: with_content(ADDED + CONTENT + b"\r\n")),
    ("header", lambda: with_content(ADDED + CONTENT.replace(b"a\r\n b", b"a b"))),
    ("header", lambda: with_content(ADDED + CONTENT.replace(b"X-Two: 2\r\n", b""))),
    ("refusal-unreported", lambda: with_account(TRUE, account(M2, "expired"))),
    ("bounced-without-words", lambda: with_account(TRUE, account(M2, "bounced", reason="550 x"))),
    ("bounced-without-words", lambda: replace(TRUE, refusals=TRUE.refusals[1:])),
    ("deferral-unreported", lambda: with_account(TRUE, account(M3, attempts=1))),
]


def test_a_true_account_has_no_difference() -> None:
    assert compare(TRUE) == []


@pytest.mark.parametrize(("code", "plant"), PLANTED)
def test_a_planted_difference_is_found(code: str, plant: Callable[[], Evidence]) -> None:
    found = compare(plant())
    assert code in {difference.what for difference in found}
    assert all(difference.detail for difference in found)


def test_every_code_is_planted_and_every_difference_has_a_code() -> None:
    assert {code for code, _ in PLANTED} == CODES.keys()
    assert {d.what for _, plant in PLANTED for d in compare(plant())} <= CODES.keys()


def test_differences_name_their_message() -> None:
    found = compare(replace(TRUE, sightings=()))
    assert [(d.what, d.message_id) for d in found] == [("lost", M1), ("lost", M3)]


def test_the_token_is_read_from_the_envelope_sender() -> None:
    assert token(f"a.b+{M1}@acme.test") == M1
    assert token("a.b+short@acme.test") == ""
    assert token("<>") == ""


def test_a_message_without_header_or_body_is_split() -> None:
    assert split(b"\r\nbody") == (b"", b"body")
    assert split(b"A: 1\r\n\r\n") == (b"A: 1\r\n", b"")
    assert split(b"A: 1\r\n") == (b"A: 1\r\n", b"")
    assert fields(b"A: 1\r\n 2\r\n\t3\r\nB:\r\n") == [b"A: 1\r\n 2\r\n\t3\r\n", b"B:\r\n"]


def test_the_place_of_a_difference_is_told() -> None:
    assert "from octet 3: b'' instead of b'd'" in body_difference(b"\r\nabcd", b"\r\nabc")
    assert body_difference(b"A: 1\r\n\r\nx", b"B: 1\r\nA: 1\r\n\r\nx") == ""
    assert "b'B: 1" in header_difference(b"B: 1\r\nA: 1\r\n\r\n", b"A: 1\r\nC: 1\r\n\r\n")


def test_the_report_counts_prints_and_writes_what_was_found(tmp_path: Path) -> None:
    broken = replace(TRUE, sightings=TRUE.sightings[:1])
    differences = compare(broken)
    report = make_report(broken, differences, {"Send": 1.5}, 2.0)
    write_json(report, tmp_path / "report.json")
    written = json.loads((tmp_path / "report.json").read_text())
    assert written["holds"] is False
    assert written["states"] == {"sent": 2, "bounced": 1}
    assert (written["deferrals"], written["refusals"]) == (1, 1)
    assert written["differences"][0]["message_id"] == M3
    console = Console(file=StringIO(), width=200)
    print_report(report, console)
    assert isinstance(console.file, StringIO)
    shown = console.file.getvalue()
    assert "1  lost: the controller says sent, no receiver has it" in shown
    assert f"{M3} lost:" in shown


def test_only_a_report_about_something_without_differences_holds() -> None:
    assert make_report(TRUE, [], {}, 0).holds
    assert not make_report(replace(TRUE, submitted={}), [], {}, 0).holds


def test_a_proxy_may_pass_from_one_node_to_the_next_but_not_be_shared() -> None:
    first = [through("open", "n1", 1), through("open", "n1", 2), through("close", "n1", 1)]
    handed_over = [*first, through("close", "n1", 2), through("open", "n2", 1)]
    assert overlaps(handed_over) == []
    shared = [*first, through("open", "n2", 1)]
    assert overlaps(shared) == ["198.51.100.1: n2 while n1 had it open"]
    probe = through("open", "n2", 9, target_port=7444)
    assert overlaps([*first, probe]) == []
