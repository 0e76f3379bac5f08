"""postfleet suppression, as an operator types it; and what a client's own tool may do."""

from __future__ import annotations

from pathlib import Path

import grpc
import psycopg
import pytest
from postfleet.v1 import suppression_pb2, suppression_pb2_grpc

from tests.controller.cli.conftest import Cli
from tests.controller.cli.conftest import cli as cli
from tests.controller.served import Served, operator_channel
from tests.controller.served import served as served

_LETTER = b"From: Ada <ada.arendt@harbor-mail.test>\nTo: %s\nSubject: s\n\nbody\n"


async def test_a_suppressed_recipient_gets_nothing_until_it_is_removed(cli: Cli) -> None:
    await cli.apply()
    added = await cli("suppression", "add", "Reader@google.test", "--client", "harbor",
                      "--reason", "unsubscribe", "--evidence", "form of 3 November")  # fmt: skip
    assert (added.code, added.out) == (0, "added 1, 0 were suppressed before\n")
    again = await cli("suppression", "add", "reader@GOOGLE.test", "--client", "harbor")
    assert again.out == "added 0, 1 were suppressed before\n"
    letter = _LETTER % b"reader@google.test"
    refused = await cli("message", "submit", "--client", "harbor", stdin=letter)
    assert refused.code == 1
    assert "suppressed" in refused.err
    checked = await cli("suppression", "check", "reader@google.test", "--client", "harbor")
    assert checked.code == 1
    assert "unsubscribe" in checked.out
    assert (await cli("suppression", "check", "reader@google.test")).code == 0
    audit = await cli("audit", "list", "--subject", "suppression/harbor", "--json")
    assert audit.data[0]["action"] == "add-suppression"
    would = await cli("suppression", "remove", "reader@google.test", "--client", "harbor",
                      "--dry-run")  # fmt: skip
    assert would.out == "would remove 1 of 1 for harbor\n"
    removed = await cli("suppression", "remove", "reader@google.test", "--client", "harbor",
                        "--reason", "asked us to")  # fmt: skip
    assert (removed.code, removed.out) == (0, "removed 1 of 1 for harbor\n")
    assert (await cli("message", "submit", "--client", "harbor", stdin=letter)).code == 0
    missing = await cli("suppression", "remove", "reader@google.test", "--client", "harbor")
    assert missing.code == 4


async def test_a_domain_for_every_client_stops_all_of_it(cli: Cli) -> None:
    await cli.apply()
    await cli("suppression", "add", "@google.test")
    letter = _LETTER % b"anybody@google.test"
    assert (await cli("message", "submit", "--client", "harbor", stdin=letter)).code == 1


async def test_an_import_names_all_bad_lines_and_imports_nothing_or_everything(
    cli: Cli, tmp_path: Path
) -> None:
    await cli.apply()
    file = tmp_path / "list.csv"
    good = "".join(f"r{number}@example.org,harbor\n" for number in range(7000))
    file.write_text("recipient,client\n" + good + "bad\nr@example.org,nobody\n")
    ran = await cli("suppression", "import", str(file))
    assert ran.code == 1
    assert "line 7002, column recipient" in ran.err
    assert "1 of 7,002 lines are bad; nothing was imported" in ran.err
    file.write_text("recipient,client\n" + good)
    ran = await cli("suppression", "import", str(file), "--dry-run")
    assert ran.out == "would add 7,000, 0 were suppressed before\n"
    assert (await cli("suppression", "import", str(file))).out.startswith("added 7,000, ")
    assert (await cli("suppression", "import", str(file))).out.startswith("added 0, 7,000 ")
    unknown = await cli("suppression", "import", "-", stdin=b"recipient,client\na@b.test,nobody\n")
    assert unknown.code == 1
    assert "line 2: client 'nobody' is not in the inventory" in unknown.err
    out = tmp_path / "out.csv"
    exported = await cli("suppression", "export", str(out), "--client", "harbor")
    assert exported.out == f"exported 7,000 suppressions to {out}\n"
    with psycopg.connect(cli.served.database) as connection:
        connection.execute("DELETE FROM suppression")
    assert (await cli("suppression", "import", str(out))).out.startswith("added 7,000, ")
    listed = await cli("suppression", "list", "--filter", "r699", "--limit", "0", "--json")
    assert len(listed.data) == 11


async def test_a_clients_tool_sees_and_changes_its_own_only(cli: Cli, served: Served) -> None:
    await cli.apply()
    await cli("suppression", "add", "other@google.test", "--client", "alpine")
    folder = cli.folder / "tool"
    made = await cli("controller", "credentials", "client", "harbor", "--state-dir",
                     str(served.state_dir), "--out", str(folder))  # fmt: skip
    assert made.code == 0, made.err
    async with operator_channel(served.controller.port, folder) as channel:
        await _try_all(suppression_pb2_grpc.SuppressionServiceStub(channel))


async def _try_all(stub: suppression_pb2_grpc.SuppressionServiceStub) -> None:
    row = suppression_pb2.Suppression(client_id="harbor", recipient="a@google.test")
    reply = await stub.AddSuppressions(suppression_pb2.AddSuppressionsRequest(suppressions=[row]))
    assert reply.added == 1
    for request in (
        stub.AddSuppressions(
            suppression_pb2.AddSuppressionsRequest(
                suppressions=[suppression_pb2.Suppression(recipient="a@google.test")]
            )
        ),
        stub.ListSuppressions(suppression_pb2.ListSuppressionsRequest(client_id="*")),
        stub.ListSuppressions(suppression_pb2.ListSuppressionsRequest(client_id="alpine")),
        stub.RemoveSuppressions(
            suppression_pb2.RemoveSuppressionsRequest(
                client_id="alpine", recipients=["other@google.test"]
            )
        ),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await request
        assert raised.value.code() is grpc.StatusCode.PERMISSION_DENIED
    own = await stub.ListSuppressions(suppression_pb2.ListSuppressionsRequest(client_id="harbor"))
    assert [each.recipient for each in own.suppressions] == ["a@google.test"]
