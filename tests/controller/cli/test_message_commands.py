"""Mail by the command line: submitted once, whatever happens meanwhile; looked at afterwards."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from pathlib import Path

import psycopg

from tests.controller.cli.conftest import Cli

_LETTER = b"From: Ada <ada.arendt@harbor-mail.test>\nTo: reader@google.test\nSubject: s\n\nbody\n"


def _messages(cli: Cli) -> list[tuple[str, bytes]]:
    with psycopg.connect(cli.served.database) as connection:
        return connection.execute(
            "SELECT m.recipient, c.content FROM message AS m"
            " JOIN message_content AS c ON c.message_id = m.id ORDER BY m.id"
        ).fetchall()


async def test_a_letter_from_standard_input_is_submitted_once(cli: Cli) -> None:
    await cli.apply()
    submit = ("message", "submit", "--client", "harbor")
    first = await cli(*submit, stdin=_LETTER)
    assert (first.code, first.out) == (0, "1 accepted\n"), first.err
    again = await cli(*submit, stdin=_LETTER)
    assert again.code == 0
    assert again.out.startswith("0 accepted, 1 duplicate\n")
    assert "--again WORD" in again.out
    on_purpose = await cli(*submit, "--again", "november", stdin=_LETTER)
    assert on_purpose.out == "1 accepted\n"
    assert _messages(cli) == [("reader@google.test", _LETTER.replace(b"\n", b"\r\n"))] * 2


async def test_rejected_messages_are_named_and_the_others_accepted(cli: Cli) -> None:
    await cli.apply()
    lines = [
        {"recipient": f"reader{number}@google.test", "content": "Subject: s\n\nx\n"}
        for number in range(5)
    ]
    lines[3]["recipient"] = "nonsense"
    stdin = "\n".join(map(json.dumps, lines)).encode()
    ran = await cli("message", "submit", "--client", "harbor", stdin=stdin)
    assert ran.code == 1
    assert ran.out == "4 accepted, 1 rejected\n"
    assert "rejected: stdin:4 to nonsense: malformed-recipient" in ran.err
    as_json = await cli("message", "submit", "--client", "harbor", "--json", stdin=stdin)
    results = [json.loads(line) for line in as_json.out.splitlines()]
    assert [each["status"] for each in results] == ["duplicate"] * 3 + ["rejected", "duplicate"]
    assert all(len(each["message_id"]) == 26 for each in results if each["message_id"])


async def test_what_stood_before_an_unreadable_message_is_submitted(cli: Cli) -> None:
    await cli.apply()
    stdin = b'{"recipient": "a@google.test", "content": "Subject: s"}\n{"nonsense": "x"}\n'
    ran = await cli("message", "submit", "--client", "harbor", stdin=stdin)
    assert ran.code == 1
    assert "stdin:2: nonsense: unknown field" in ran.err
    assert "What stood before it was submitted: 1 accepted" in ran.err
    assert len(_messages(cli)) == 1


async def test_a_dry_run_reads_everything_and_submits_nothing(cli: Cli, tmp_path: Path) -> None:
    folder = tmp_path / "letters"
    folder.mkdir()
    for number in range(3):
        (folder / f"{number}.eml").write_bytes(_LETTER)
    ran = await cli("message", "submit", "--client", "x", "--input", str(folder), "--dry-run")
    assert (ran.code, ran.out) == (0, "would submit 3 messages of 255 octets together\n")
    assert _messages(cli) == []


async def test_after_an_interruption_the_same_command_completes_it(
    cli: Cli, tmp_path: Path
) -> None:
    await cli.apply()
    count = 6000
    batch = tmp_path / "batch.jsonl"
    batch.write_text(
        "".join(
            json.dumps({"recipient": f"r{n}@google.test", "content": f"Subject: {n}\n\n"}) + "\n"
            for n in range(count)
        )
    )
    arguments = ("message", "submit", "--client", "harbor", "--input", str(batch), "--json")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "controller.cli.main", *arguments, env=cli.environment(),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    await process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, err = await process.communicate()
    assert process.returncode == 130, err
    assert b"Run the same command again" in err
    assert b"Traceback" not in err
    done = await cli(*arguments)
    assert done.code == 0
    results = [json.loads(line) for line in done.out.splitlines()]
    assert len(results) == count
    assert {each["status"] for each in results} <= {"accepted", "duplicate"}
    assert len(_messages(cli)) == count


async def test_messages_are_listed_shown_and_watched(cli: Cli) -> None:
    await cli.apply()
    sent = await cli("message", "submit", "--client", "harbor", "--json", stdin=_LETTER)
    id_ = sent.data["message_id"]
    listed = await cli("message", "list")
    assert id_ in listed.out
    assert (await cli("message", "list", "--state", "bounced", "--json")).data == []
    shown = await cli("message", "show", id_)
    assert "reader@google.test" in shown.out
    assert "accepted" in shown.out
    of_box = await cli("mailbox", "show", "ada.arendt@harbor-mail.test", "--json")
    assert [each["id"] for each in of_box.data["messages"]] == [id_]
    waiting = await cli("message", "watch", id_, "--timeout", "0.2", "--every", "0.1")
    assert waiting.code == 1
    assert "1 messages are not final" in waiting.err
    with psycopg.connect(cli.served.database, autocommit=True) as connection:
        connection.execute("UPDATE message SET state = 'sent', final_at = now()")
    assert (await cli("message", "watch", id_)).out == "1 sent\n"
    assert (await cli("message", "watch", "--json")).data == {"sent": 1}
    assert (await cli("message", "watch", "0" * 26)).code == 4
    wrong = await cli("message", "list", "--state", "nonsense")
    assert wrong.code == 1
    assert "there are accepted, scheduled" in wrong.err


async def test_an_uncertain_message_is_resolved_by_one_word(cli: Cli) -> None:
    await cli.apply()
    await cli("message", "submit", "--client", "harbor", stdin=_LETTER)
    with psycopg.connect(cli.served.database, autocommit=True) as connection:
        (id_,) = connection.execute("SELECT id FROM message").fetchone()  # type: ignore[misc]
        early = await cli("message", "resolve", id_, "--sent")
        assert early.code == 1
        assert "there is nothing to resolve" in early.err
        connection.execute("UPDATE message SET state = 'uncertain'")
    for words in ((), ("--sent", "--cancel")):
        ran = await cli("message", "resolve", id_, *words)
        assert ran.code == 2
        assert "exactly one of --sent, --resend and --cancel" in ran.err
    dry = await cli("message", "resolve", id_, "--resend", "--dry-run")
    assert (dry.code, dry.out) == (
        0, f"would change: {id_} is accepted: an operator lets it be sent again\n"
    ), dry.err  # fmt: skip
    ran = await cli("message", "resolve", id_, "--cancel", "--reason", "too late now", "--json")
    assert (ran.code, ran.data["message"]["state"]) == (0, "cancelled"), ran.err
    shown = await cli("message", "show", id_)
    assert "too late now" in shown.out
    (entry,) = (await cli("audit", "list", "--subject", f"message/{id_}", "--json")).data
    assert (entry["action"], entry["reason"]) == ("resolve-message", "too late now")


async def test_messages_are_cancelled_and_those_that_cannot_be_are_named(cli: Cli) -> None:
    await cli.apply()
    await cli("message", "submit", "--client", "harbor", stdin=_LETTER)
    (message,) = json.loads((await cli("message", "list", "--json")).out)
    dry = await cli("message", "cancel", message["id"], "--dry-run")
    assert (dry.code, "a dry run" in dry.out) == (0, True), dry.err
    ran = await cli("message", "cancel", message["id"], "nobody", "--reason", "a test", "--json")
    assert ran.code == 1
    assert [each["outcome"] for each in json.loads(ran.out)["results"]] == ["cancelled", "unknown"]
    assert "1 of 2 cannot be stopped: 1 unknown" in ran.err
    assert (await cli("message", "cancel", "nobody")).code == 4
    shown = json.loads((await cli("message", "show", message["id"], "--json")).out)
    assert shown["message"]["state"] == "cancelled"
