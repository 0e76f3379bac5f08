"""FleetService as an operator's program meets it: who may ask, suspensions, messages."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest
from postfleet.v1 import fleet_pb2

from controller.keys.credentials import write_credentials
from controller.keys.identity import Kind
from tests.controller.served import Served, small_inventory


async def test_a_client_may_not_ask_the_fleet(served: Served) -> None:
    folder = served.state_dir / "harbor"
    write_credentials(served.controller.ca, folder, Kind.CLIENT, "harbor")
    async with served.channel_as(folder) as fleet:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await fleet.GetFleet(fleet_pb2.GetFleetRequest())
    assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED


async def test_a_suspension_names_its_reason_and_ends_by_release(served: Served) -> None:
    await served.apply(small_inventory())
    ask = fleet_pb2.SetSuspensionRequest
    stop = ask(scope="egress", subject="px001", suspended=True, reason="provider complains")
    assert (await served.fleet.SetSuspension(stop)).changed
    assert not (await served.fleet.SetSuspension(stop)).changed
    (egress,) = (await served.fleet.ListEgresses(fleet_pb2.ListRequest(id="px001"))).egresses
    assert (egress.state, egress.reason) == (
        "suspended",
        "suspended by operator: provider complains",
    )
    boxes = (await served.fleet.ListMailboxes(fleet_pb2.ListRequest())).mailboxes
    assert {each.state for each in boxes if each.egress_id == "px001"} == {"suspended"}
    assert {each.state for each in boxes if each.egress_id != "px001"} == {"active"}
    served.rows(
        "INSERT INTO suspension (scope, subject, source, stage, reason)"
        " VALUES ('egress', 'px001', 'probe', 'proxy-auth', 'refused')",
    )
    lifted = await served.fleet.SetSuspension(ask(scope="egress", subject="px001"))
    assert lifted.changed
    assert list(lifted.remaining) == ["probe: proxy-auth: refused"]
    entries = await served.audit("px001")
    actions = [each.action for each in entries if each.actor == "operator/admin"]
    assert actions == ["release-egress", "suspend-egress"]


@pytest.mark.parametrize(
    ("request_", "code", "words"),
    [
        ({"scope": "planet", "subject": "x", "suspended": True, "reason": "r"},
         grpc.StatusCode.INVALID_ARGUMENT, "there are egress, mailbox, domain, client"),
        ({"scope": "egress", "subject": "px404", "suspended": True, "reason": "r"},
         grpc.StatusCode.NOT_FOUND, "there is no egress 'px404'"),
        ({"scope": "egress", "subject": "px001", "suspended": True},
         grpc.StatusCode.INVALID_ARGUMENT, "reason: a suspension needs one"),
        ({"scope": "egress", "subject": "px\x00", "suspended": True, "reason": "r"},
         grpc.StatusCode.INVALID_ARGUMENT, "NUL"),
        ({"scope": "egress", "subject": "px001", "suspended": True, "reason": "r",
          "until": datetime.now(UTC) - timedelta(days=1)},
         grpc.StatusCode.INVALID_ARGUMENT, "is not in the future"),
    ],
)  # fmt: skip
async def test_a_suspension_that_makes_no_sense_is_refused(
    served: Served, request_: dict[str, Any], code: grpc.StatusCode, words: str
) -> None:
    await served.apply(small_inventory())
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await served.fleet.SetSuspension(fleet_pb2.SetSuspensionRequest(**request_))
    assert refused.value.code() is code
    assert words in refused.value.details()


async def test_a_message_is_found_with_its_history(served: Served) -> None:
    await served.apply(small_inventory())
    served.rows(
        "INSERT INTO message (id, client_id, mailbox, egress_id,"
        " recipient, not_before, state, size, node_id, attempts, reason, final_at) VALUES"
        " ('0a', 'harbor', 'ada.arendt@harbor-mail.test', 'px001', 'x@google.test',"
        " now(), 'sent', 10, 'n1', 2, '250 ok', now()),"
        " ('0b', 'alpine', NULL, NULL, 'y@google.test', now() + interval '1 year',"
        " 'accepted', 10, NULL, 0, '', NULL)",
    )
    served.rows("INSERT INTO submission SELECT id, client_id, id, '', recipient FROM message")
    served.rows(
        "INSERT INTO event (spool_id, seq, message_id, node_id, kind, at, queue_id, egress_id,"
        " dsn, relay, reason, gateway_stage, log_line) VALUES"
        " ('s', 1, '0a', 'n1', 'deferred', now() - interval '1 min', 'Q', 'px001', '4.3.2', 'none',"
        " '421 4.3.2 postfleet', 'lease', 'line 1'),"
        " ('s', 2, '0a', 'n1', 'sent', now(), 'Q', 'px001', '2.0.0', 'mx', '250 ok', '', 'line 2')",
    )
    detail = await served.fleet.GetMessage(fleet_pb2.GetMessageRequest(id="0a"))
    assert [each.event for each in detail.history] == ["accepted", "deferred", "sent"]
    assert "gateway: lease; no receiver was asked" in detail.history[1].reason
    ask = fleet_pb2.ListMessagesRequest
    for request, ids in (
        (ask(), ["0a", "0b"]),
        (ask(newest_first=True), ["0b", "0a"]),
        (ask(newest_first=True, page_token="0b"), ["0a"]),
        (ask(state="sent"), ["0a"]),
        (ask(client_id="alpine"), ["0b"]),
        (ask(recipient="y@google.test"), ["0b"]),
        (ask(mailbox="ada.arendt@harbor-mail.test"), ["0a"]),
        (ask(node_id="n1"), ["0a"]),
        (ask(ids=["0b", "zz"]), ["0b"]),
    ):
        found = await served.fleet.ListMessages(request)
        assert [each.id for each in found.messages] == ids
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await served.fleet.GetMessage(fleet_pb2.GetMessageRequest(id="zz"))
    assert refused.value.code() is grpc.StatusCode.NOT_FOUND
    with pytest.raises(grpc.aio.AioRpcError, match="there are accepted, scheduled"):
        await served.fleet.ListMessages(ask(state="gone"))
    summary = await served.fleet.GetFleet(fleet_pb2.GetFleetRequest())
    assert dict(summary.messages) == {"sent": 1, "accepted": 1}


async def test_scheduled_mail_of_a_moved_mailbox_is_planned_anew(served: Served) -> None:
    await served.apply(small_inventory())
    served.rows(
        "INSERT INTO message (id, client_id, mailbox, egress_id,"
        " recipient, not_before, state, size, charged_day) VALUES"
        " ('0a', 'harbor', 'ada.arendt@harbor-mail.test', 'px001', 'x@google.test',"
        " now() + interval '1 day', 'scheduled', 10, current_date)",
    )
    served.rows(
        "INSERT INTO ledger VALUES ('mailbox', 'ada.arendt@harbor-mail.test', current_date, 1),"
        " ('egress', 'px001', current_date, 1)",
    )
    old = "local_part: ada.arendt, name: Ada Arendt, egress: px001"
    await served.apply(small_inventory().replace(old, old.replace("px001", "px002"), 1))
    assert served.rows("SELECT state, egress_id FROM message") == [("accepted", None)]
    assert served.rows("SELECT DISTINCT used FROM ledger") == [(0,)]
