"""postfleet feedback, as an operator types it; and what a client's own tool may do."""

from __future__ import annotations

import json
from pathlib import Path

import grpc
import psycopg
import pytest
from postfleet.v1 import feedback_pb2, feedback_pb2_grpc

from controller.message_id import encode
from tests.controller.cli.conftest import Cli
from tests.controller.cli.conftest import cli as cli
from tests.controller.served import Served, operator_channel
from tests.controller.served import served as served

ADA = "ada.arendt@harbor-mail.test"


def sent(cli: Cli, number: int, recipient: str, client: str = "harbor", state: str = "sent",
         days_ago: int = 1) -> str:  # fmt: skip
    """A message that went out; gives its id."""
    id_ = encode(number)
    with psycopg.connect(cli.served.database) as connection:
        connection.execute(
            "INSERT INTO message (id, client_id, mailbox, egress_id,"
            " recipient, not_before, accepted_at, state, size, provider)"
            " SELECT %s, client_id, address, egress_id, %s, now(),"
            " now() - make_interval(days => %s), %s, 1, 'google' FROM mailbox"
            " WHERE client_id = %s ORDER BY address <> %s, address LIMIT 1",
            (id_, recipient, days_ago, state, client, ADA),
        )
        connection.execute(
            "INSERT INTO submission SELECT id, client_id, id, '', recipient FROM message"
            " WHERE id = %s",
            (id_,),
        )
    return id_


async def test_what_came_back_is_taken_once_and_suppresses_who_wants_no_more(
    cli: Cli, tmp_path: Path
) -> None:
    await cli.apply()
    ids = [sent(cli, n, f"R{n}@google.test") for n in range(4)]
    file = tmp_path / "back.jsonl"
    rows = [
        {"kind": "reply", "message": ids[0]},
        {"kind": "bounce", "message": f"ada+{ids[1]}@x.test", "evidence": "550 5.1.1 no such user"},
        {"kind": "unsubscribe", "recipient": "r2@GOOGLE.test", "mailbox": ADA},
        {"kind": "complaint", "message": ids[2], "at": "2026-11-01T09:00:00Z"},
        {"kind": "complaint", "message": f"<{ids[3]}@harbor-mail.test>"},
    ]
    file.write_text("\n".join(map(json.dumps, rows)))
    dry = await cli("feedback", "import", str(file), "--dry-run", "--json")
    assert dry.data == {"taken": 5, "known": 0, "suppressed": 3, "dry_run": True}
    assert (await cli("feedback", "list", "--json")).data == []
    ran = await cli("feedback", "import", str(file))
    assert (ran.code, ran.out) == (
        0, "took 5, 0 were on record before; 3 recipients suppressed by it\n"
    )  # fmt: skip
    again = await cli("feedback", "import", str(file), "--json")
    assert again.data == {"taken": 0, "known": 5, "suppressed": 0, "dry_run": False}
    listed = await cli("suppression", "list", "--client", "harbor", "--json")
    assert {row["recipient"]: row["reason"] for row in listed.data} == {
        "r1@google.test": "bounce", "r2@google.test": "complaint", "r3@google.test": "complaint",
    }  # fmt: skip
    listed = await cli("feedback", "list", "--kind", "complaint", "--json")
    assert [(row["message_id"], row["mailbox"]) for row in listed.data] == [
        (ids[2], ADA), (ids[3], ADA),
    ]  # fmt: skip
    shown = await cli("message", "show", ids[1])
    assert "550 5.1.1 no such user" in shown.out
    (entry,) = (await cli("audit", "list", "--subject", "client/harbor", "--json")).data
    assert entry["action"] == "take-feedback"
    assert entry["evidence"] == {
        "reply": 1, "bounce": 1, "unsubscribe": 1, "complaint": 2,
    }  # fmt: skip


async def test_one_who_was_let_in_again_stays_so_when_a_file_is_imported_again(
    cli: Cli,
) -> None:
    await cli.apply()
    row = f"kind,message\ncomplaint,{sent(cli, 1, 'r@google.test')}\n".encode()
    await cli("feedback", "import", "-", stdin=row)
    await cli("suppression", "remove", "r@google.test", "--client", "harbor")
    await cli("feedback", "import", "-", stdin=row)
    assert (await cli("suppression", "check", "r@google.test", "--client", "harbor")).code == 0


async def test_recipient_and_mailbox_name_the_last_message_before_that_time(cli: Cli) -> None:
    await cli.apply()
    old = sent(cli, 1, "r@google.test", days_ago=9)
    new = sent(cli, 2, "r@google.test", days_ago=2)
    sent(cli, 3, "r@google.test", state="accepted", days_ago=0)
    row = {"kind": "reply", "recipient": "r@google.test", "mailbox": ADA}
    with psycopg.connect(cli.served.database) as connection:
        (then,) = connection.execute("SELECT now() - interval '5 days'").fetchall()[0]
    rows = [row, row | {"at": then.isoformat()}]
    await cli("feedback", "import", "-", stdin="\n".join(map(json.dumps, rows)).encode())
    listed = await cli("feedback", "list", "--json")
    assert [each["message_id"] for each in listed.data] == [old, new]


async def test_all_bad_rows_are_named_before_anything_is_taken(cli: Cli, tmp_path: Path) -> None:
    await cli.apply()
    file = tmp_path / "back.csv"
    good = f"reply,{sent(cli, 1, 'r@google.test')},,\n"
    waiting = sent(cli, 2, "w@google.test", state="scheduled")
    file.write_text(
        "kind,message,recipient,mailbox\n"
        + good * 5003
        + f"sneeze,{waiting},,\nreply,{waiting},,\n"
        + f"reply,,nobody@google.test,{ADA}\n"
    )
    ran = await cli("feedback", "import", str(file))
    assert ran.code == 1
    for words in (
        "line 5005, column kind: 'sneeze'",
        "line 5006, column message: no 0000",
        "line 5007, column message: nothing was on its way",
        "3 rows are bad; nothing ",
    ):
        assert words in ran.err  # fmt: skip
    assert (await cli("feedback", "list", "--json")).data == []
    missing = await cli("feedback", "import", str(tmp_path / "none.csv"))
    assert (missing.code, "cannot read" in missing.err) == (1, True)


async def test_a_clients_tool_tells_and_sees_its_own_only(cli: Cli, served: Served) -> None:
    await cli.apply()
    own, other = sent(cli, 1, "r@google.test"), sent(cli, 2, "r@google.test", "alpine")
    folder = cli.folder / "tool"
    made = await cli("controller", "credentials", "client", "harbor", "--state-dir",
                     str(served.state_dir), "--out", str(folder))  # fmt: skip
    assert made.code == 0, made.err
    async with operator_channel(served.controller.port, folder) as channel:
        stub = feedback_pb2_grpc.FeedbackServiceStub(channel)
        rows = [feedback_pb2.Feedback(kind="unsubscribe", message_id=id_) for id_ in (own, other)]
        reply = await stub.TakeFeedback(feedback_pb2.TakeFeedbackRequest(feedback=rows))
        assert [each.index for each in reply.problems] == [1]
        assert reply.taken == 0
        reply = await stub.TakeFeedback(feedback_pb2.TakeFeedbackRequest(feedback=rows[:1]))
        assert (reply.taken, reply.suppressed) == (1, 1)
        for client in ("", "alpine"):
            with pytest.raises(grpc.aio.AioRpcError) as raised:
                await stub.ListFeedback(feedback_pb2.ListFeedbackRequest(client_id=client))
            assert raised.value.code() is grpc.StatusCode.PERMISSION_DENIED
        seen = await stub.ListFeedback(feedback_pb2.ListFeedbackRequest(client_id="harbor"))
        assert [(each.message_id, each.told_by) for each in seen.feedback] == [
            (own, "client/harbor")
        ]
