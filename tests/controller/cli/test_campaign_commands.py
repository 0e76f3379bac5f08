"""`postfleet campaign` against a running controller: from a file to waiting mail, and its end."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.controller.cli.conftest import Cli

_CAMPAIGN = """\
version: 1
campaign: november
client: harbor
subject: "A question, {{ name }}"
text: |
  Hello {{ name }}
recipients: {file: people.csv}
follow_ups:
  - {id: again, after_days: 3, text: "Hello again {{ name }}"}
"""


def write(cli: Cli, people: int = 6, more: str = "", text: str = _CAMPAIGN) -> str:
    rows = "".join(f"p{n}@reader.test,Person {n}\n" for n in range(people))
    (cli.folder / "people.csv").write_text("email,name\n" + rows)
    (cli.folder / "november.yaml").write_text(text + more)
    return str(cli.folder / "november.yaml")


def rows(cli: Cli, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(cli.served.database) as connection:
        return connection.execute(query).fetchall()  # type: ignore[arg-type]


async def until(cli: Cli, query: str, wanted: list[tuple[Any, ...]], seconds: float = 15) -> None:
    for _ in range(int(seconds * 10)):
        if rows(cli, query) == wanted:
            return
        await asyncio.sleep(0.1)
    assert rows(cli, query) == wanted


_STATES = "SELECT state, count(*) FROM message GROUP BY 1 ORDER BY 1"


async def test_a_campaign_is_started_once_however_often_it_is_started(cli: Cli) -> None:
    await cli.apply()
    file = write(cli)
    dry = await cli("campaign", "start", file, "--dry-run")
    assert dry.code == 0, dry.err
    assert "would start it" in dry.out
    assert rows(cli, "SELECT count(*) FROM campaign") == [(0,)]
    first = await cli("campaign", "start", file, "--json")
    assert first.code == 0, first.err
    assert (first.data["accepted"], first.data["present"], first.data["made"]) == (6, 0, True)
    before = rows(cli, "SELECT message_id, fingerprint FROM submission ORDER BY 1")
    again = await cli("campaign", "start", file, "--json")
    assert (again.data["accepted"], again.data["present"], again.data["made"]) == (0, 6, False)
    assert rows(cli, "SELECT message_id, fingerprint FROM submission ORDER BY 1") == before
    assert rows(cli, "SELECT count(*) FROM campaign_follow_up") == [(6,)]
    write(cli, people=8)
    assert (await cli("campaign", "start", file, "--json")).data["accepted"] == 2
    # What comes back names a message by this, as with all other mail.
    ids = rows(
        cli,
        "SELECT DISTINCT convert_from(c.added, 'UTF8') LIKE '%Message-ID: <' || m.id || '@%'"
        " FROM message AS m JOIN message_content AS c ON c.message_id = m.id",
    )
    assert ids == [(True,)]


async def test_what_may_change_changes_and_what_is_fixed_does_not(cli: Cli) -> None:
    await cli.apply()
    file = write(cli)
    await cli("campaign", "start", file)
    write(cli, more="priority: 7\nburst_per_hour: 9\n")
    changed = await cli("campaign", "start", file)
    assert "changed priority: 0 -> 7" in changed.out
    assert "changed burst_per_hour: none -> 9" in changed.out
    write(cli, text=_CAMPAIGN.replace("Hello {{", "Dear {{"))
    refused = await cli("campaign", "start", file)
    assert refused.code == 1
    assert "its text cannot change any more" in refused.err
    write(cli, text=_CAMPAIGN.replace("after_days: 3", "after_days: 4"))
    assert "its follow-ups cannot change" in (await cli("campaign", "start", file)).err


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ("pool: {domains: [elsewhere.test], mailboxes: [who@harbor-mail.test]}\n",
         "domain 'elsewhere.test' is not of client harbor\n"
         "mailbox 'who@harbor-mail.test' is not of client harbor\n"
         "there is no mailbox that could send it"),
        ("windows: [sun 03:00-03:01]\ntime_zone: UTC\n", "never meet those of the mailboxes"),
    ],
    ids=["strangers in the pool", "windows that never meet"],
)  # fmt: skip
async def test_what_could_never_send_is_not_started(cli: Cli, more: str, words: str) -> None:
    await cli.apply()
    with psycopg.connect(cli.served.database) as connection:
        connection.execute("UPDATE client SET windows = '{mon-fri 08:00-18:00}'")
    for arguments in (("--dry-run",), ()):
        refused = await cli("campaign", "start", write(cli, more=more), *arguments)
        assert refused.code == 1
        assert words in refused.err
    assert rows(cli, "SELECT count(*) FROM campaign") == [(0,)]
    unknown = await cli("campaign", "start", write(cli, text=_CAMPAIGN.replace("harbor", "nobody")))
    assert "client 'nobody' is not in the inventory" in unknown.err


async def test_a_suppressed_recipient_is_refused_and_counted(cli: Cli) -> None:
    await cli.apply()
    await cli("suppression", "add", "p3@reader.test", "--client", "harbor")
    started = await cli("campaign", "start", write(cli))
    assert started.code == 0
    assert "refused: p3@reader.test: suppressed: " in started.err
    assert "5 recipients accepted, 1 refused" in started.out
    status = (await cli("campaign", "status", "november", "--json")).data
    assert status["refused"] == {"suppressed": 1}
    assert (status["recipients"], status["open"]) == (6, 5)


async def test_pause_holds_resume_lets_go_cancel_ends(cli: Cli) -> None:
    await cli.apply()
    await cli("campaign", "start", write(cli, more="windows: [daily 00:00-24:00]\n"
                                                   "time_zone: UTC\n"))  # fmt: skip
    await until(cli, _STATES, [("scheduled", 6)])
    dry = await cli("campaign", "pause", "november", "--dry-run")
    assert "would be paused" in dry.out
    paused = await cli("campaign", "pause", "november", "--reason", "a typo")
    assert "is paused: 6 messages are held" in paused.out
    assert rows(cli, _STATES) == [("accepted", 6)]
    assert rows(cli, "SELECT count(*) FROM ledger WHERE used > 0") == [(0,)]
    assert rows(cli, "SELECT count(*) FROM ledger_hour WHERE used > 0") == [(0,)]
    await asyncio.sleep(2.5)
    assert rows(cli, _STATES) == [("accepted", 6)]
    assert "paused" in (await cli("campaign", "list")).out
    await cli("campaign", "resume", "november")
    await until(cli, _STATES, [("scheduled", 6)])
    cancelled = await cli("campaign", "cancel", "november", "--reason", "wrong list")
    assert cancelled.code == 0, cancelled.err
    await until(cli, _STATES, [("cancelled", 6)])
    assert rows(cli, "SELECT DISTINCT reason FROM message") == [
        ("cancelled by operator/admin: wrong list",)
    ]
    assert rows(cli, "SELECT count(*) FROM campaign_follow_up") == [(0,)]
    status = await cli("campaign", "status", "november")
    assert "6 cancelled" in status.out
    assert "6 the campaign was cancelled" in status.out
    refused = await cli("campaign", "resume", "november")
    assert (refused.code, "is cancelled; it cannot resume" in refused.err) == (1, True)
    assert (await cli("campaign", "start", str(cli.folder / "november.yaml"))).code == 1
    assert (await cli("campaign", "status", "october")).code == 4


async def test_a_bad_row_starts_nothing(cli: Cli, tmp_path: Path) -> None:
    await cli.apply()
    file = write(cli)
    with (cli.folder / "people.csv").open("a") as people:
        people.write("nobody,x\n")
    ran = await cli("campaign", "start", file)
    assert ran.code == 1
    assert "line 8, column email: 'nobody': there is no @" in ran.err
    assert rows(cli, "SELECT count(*) FROM campaign") == [(0,)]


async def test_a_forecast_says_when_it_is_through(cli: Cli) -> None:
    await cli.apply()
    await cli("campaign", "start", write(cli, more="windows: [daily 00:00-24:00]\n"
                                                   "time_zone: UTC\n"))  # fmt: skip
    found = (await cli("campaign", "forecast", "november", "--json")).data
    assert found["id"] == "november"
    assert sum(int(step["messages"]) for step in found["steps"]) in (6, 12)
    shown = await cli("campaign", "forecast", "november")
    assert shown.code == 0, shown.err
    assert "campaign november will be through on " in shown.out
    unknown = await cli("campaign", "forecast", "may")
    assert unknown.code == 4
    assert "there is no campaign 'may'" in unknown.err
    assert (await cli("campaign", "forecast", "november", "--days", "0")).code == 2


async def test_a_file_is_foreseen_before_it_is_started(cli: Cli) -> None:
    await cli.apply()
    file = write(cli)
    shown = await cli("campaign", "forecast", file)
    assert shown.code == 0, shown.err
    assert "campaign november will be through on " in shown.out
    assert shown.out.rstrip().endswith("UTC, if it is started now")
    assert rows(cli, "SELECT count(*) FROM campaign") == [(0,)]
    found = (await cli("campaign", "forecast", file, "--json")).data
    assert (found["state"], int(found["provider_unknown"])) == ("draft", 6)
    await cli("campaign", "start", file)
    again = await cli("campaign", "forecast", file)
    assert "campaign november is there already" in again.out
    missing = await cli("campaign", "forecast", "december.yaml")
    assert missing.code == 1
    assert "cannot read the campaign" in missing.err


async def test_recipients_are_listed_one_by_one(cli: Cli) -> None:
    await cli.apply()
    await cli("suppression", "add", "p3@reader.test", "--client", "harbor", "--reason", "request")
    await cli("campaign", "start", write(cli))
    await until(cli, "SELECT count(*) FROM message WHERE state = 'scheduled'", [(5,)])
    every = (await cli("campaign", "recipients", "november", "--json", "--limit", "0")).data
    assert [each["address"] for each in every] == [f"p{n}@reader.test" for n in range(6)]
    assert {each["message_state"] for each in every if each["state"] == "open"} == {"scheduled"}
    refused = await cli("campaign", "recipients", "november", "--state", "refused")
    assert refused.code == 0, refused.err
    assert "p3@reader.test" in refused.out
    assert "p2@reader.test" not in refused.out
    none = await cli("campaign", "recipients", "november", "--message-state", "bounced")
    assert "campaign november has no such recipient" in none.out + none.err
    wrong = await cli("campaign", "recipients", "november", "--state", "lost")
    assert wrong.code == 1
    assert "there are open, done, stopped, refused" in wrong.err
    assert (await cli("campaign", "recipients", "may")).code == 4
