"""FleetService as an operator's program meets it: over mTLS, on a real database."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import psycopg
import pytest
from cryptography import x509
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from postfleet.v1 import fleet_pb2

from controller.keys.credentials import write_credentials
from controller.keys.identity import Kind
from tests.controller.served import Served, inventory_request, new_csr, small_inventory


def _rows(served: Served, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
    with psycopg.connect(served.database, autocommit=True) as connection:
        cursor = connection.execute(statement, parameters)  # type: ignore[arg-type]
        return cursor.fetchall() if cursor.description else []


async def _audit(served: Served, subject: str) -> list[fleet_pb2.AuditEntry]:
    reply = await served.fleet.ListAudit(fleet_pb2.ListAuditRequest(subject=subject))
    return list(reply.entries)


async def test_an_inventory_is_planned_applied_and_listed(served: Served) -> None:
    request = inventory_request(small_inventory())
    planned = await served.fleet.PlanInventory(request)
    assert not planned.applied
    done = await served.fleet.ApplyInventory(request)
    assert done.applied
    assert list(done.changes) == list(planned.changes)
    assert not (await served.fleet.ApplyInventory(request)).changes

    fleet = await served.fleet.GetFleet(fleet_pb2.GetFleetRequest())
    counts = (fleet.clients, fleet.domains, fleet.mailboxes, fleet.egresses, fleet.nodes)
    assert counts == (3, 3, 24, 4, 3)
    nodes = await served.fleet.ListNodes(fleet_pb2.ListRequest())
    assert [(each.id, each.state) for each in nodes.nodes] == [
        ("n1", "new"), ("n2", "new"), ("n3", "new"),
    ]  # fmt: skip
    boxes = await served.fleet.ListMailboxes(fleet_pb2.ListRequest(client_id="harbor"))
    assert len(boxes.mailboxes) == 10
    assert {each.daily_cap for each in boxes.mailboxes} == {50}
    egresses = await served.fleet.ListEgresses(fleet_pb2.ListRequest(id="px001"))
    assert egresses.egresses[0].endpoint == "198.51.100.1:1080"
    domains = await served.fleet.ListDomains(fleet_pb2.ListRequest(filter="alpine"))
    assert [each.name for each in domains.domains] == ["alpine-mail.test"]
    entries = await _audit(served, "fleet/reference")
    assert [(each.actor, each.action) for each in entries] == [
        ("operator/admin", "apply-inventory")
    ]


async def test_lists_come_in_pages(served: Served) -> None:
    await served.apply(small_inventory())
    seen: list[str] = []
    token = ""
    pages = 0
    while pages == 0 or token:
        reply = await served.fleet.ListMailboxes(
            fleet_pb2.ListRequest(page_size=7, page_token=token)
        )
        seen += [each.address for each in reply.mailboxes]
        token, pages = reply.next_page_token, pages + 1
    assert pages == 4
    assert len(seen) == 24
    assert len(set(seen)) == 24


async def test_dns_records_of_the_whole_fleet(served: Served) -> None:
    await served.apply(small_inventory())
    records: list[fleet_pb2.DnsRecord] = []
    token = "0"
    while token:
        reply = await served.fleet.ListDnsRecords(
            fleet_pb2.ListRequest(page_size=5, page_token=token)
        )
        records += reply.records
        token = reply.next_page_token
    purposes = sorted(each.purpose for each in records)
    assert purposes == ["dkim"] * 3 + ["dmarc"] * 3 + ["ehlo"] * 4 + ["ptr"] * 4 + ["spf"] * 7
    spf = next(each for each in records if each.name == "harbor-mail.test")
    assert spf.data == '"v=spf1 ip4:198.51.100.1 ip4:198.51.100.2 -all"'


async def test_a_bad_inventory_is_refused_with_details_for_programs(served: Served) -> None:
    text = small_inventory().replace("capacity:", "capazity:", 1)
    request = fleet_pb2.InventoryRequest(yaml=text)
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await served.fleet.ApplyInventory(request)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "nodes[0].capazity: unknown field; did you mean 'capacity'?" in refused.value.details()
    status = rpc_status.from_call(refused.value)
    detail = error_details_pb2.BadRequest()
    assert status.details[0].Unpack(detail)
    assert detail.field_violations[0].field == "nodes[0].capazity"


async def test_a_curve_toward_a_provider_that_nobody_knows_is_refused(served: Served) -> None:
    warm_up = 'warm_up: {providers: [{provider: gogle, mailbox: "1:5"}]}'
    text = small_inventory().replace("fleet:\n", f"fleet:\n  {warm_up}\n", 1)
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await served.fleet.PlanInventory(inventory_request(text))
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert (
        "fleet.warm_up.providers[0].provider: 'gogle': no such provider; did you mean 'google'?"
        in refused.value.details()
    )
    request = inventory_request(text.replace("gogle", "google"))
    assert (await served.fleet.PlanInventory(request)).changes


async def test_a_thousand_errors_fit_into_the_answer(served: Served) -> None:
    text = small_inventory(1200).replace("local_part: ", "local_part: X")
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await served.fleet.PlanInventory(fleet_pb2.InventoryRequest(yaml=text))
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "… and 1,190 more" in refused.value.details()


async def test_secrets_that_did_not_come_along_are_named(served: Served) -> None:
    with pytest.raises(grpc.aio.AioRpcError, match="its secret did not come with it") as refused:
        await served.fleet.ApplyInventory(fleet_pb2.InventoryRequest(yaml=small_inventory()))
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_what_cannot_be_done_now_is_a_failed_precondition(served: Served) -> None:
    await served.apply(small_inventory())
    await served.fleet.EnrolNode(fleet_pb2.EnrolNodeRequest(node_id="n3", csr_pem=new_csr()))
    text = small_inventory()
    smaller = text[: text.index("  - id: n3")]
    with pytest.raises(grpc.aio.AioRpcError, match="postfleet node decommission n3") as refused:
        await served.apply(smaller)
    assert refused.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    planned = await served.fleet.PlanInventory(inventory_request(smaller))
    assert len(planned.refusals) == 1


async def test_a_client_may_not_ask_the_fleet(served: Served) -> None:
    folder = served.state_dir / "harbor"
    write_credentials(served.controller.ca, folder, Kind.CLIENT, "harbor")
    async with served.channel_as(folder) as fleet:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await fleet.GetFleet(fleet_pb2.GetFleetRequest())
    assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED


async def test_enrolment_puts_the_newest_certificate_in_force(served: Served) -> None:
    await served.apply(small_inventory())
    digests = []
    for _ in range(2):
        reply = await served.fleet.EnrolNode(
            fleet_pb2.EnrolNodeRequest(node_id="n1", csr_pem=new_csr())
        )
        assert x509.load_pem_x509_certificate(reply.certificate_pem.encode())
        digests += _rows(served, "SELECT certificate_sha256 FROM node WHERE id = 'n1'")
    assert digests[0] != digests[1]
    entries = await _audit(served, "node/n1")
    assert [each.action for each in entries] == ["enrol-node", "enrol-node"]
    assert json.loads(entries[0].evidence)["certificate_sha256"] == bytes(digests[1][0]).hex()


async def test_nobody_is_enrolled_who_is_not_in_the_inventory(served: Served) -> None:
    await served.apply(small_inventory())
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await served.fleet.EnrolNode(fleet_pb2.EnrolNodeRequest(node_id="n9", csr_pem=new_csr()))
    assert refused.value.code() is grpc.StatusCode.NOT_FOUND
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await served.fleet.EnrolNode(fleet_pb2.EnrolNodeRequest(node_id="n1", csr_pem="junk"))
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_a_cordon_is_set_once_and_a_dry_run_sets_nothing(served: Served) -> None:
    await served.apply(small_inventory())
    ask = fleet_pb2.SetNodeCordonRequest
    dry = await served.fleet.SetNodeCordon(ask(node_id="n1", cordoned=True, dry_run=True))
    assert dry.cordoned
    assert _rows(served, "SELECT cordoned FROM node WHERE id = 'n1'") == [(False,)]
    for _ in range(2):
        node = await served.fleet.SetNodeCordon(ask(node_id="n1", cordoned=True))
        assert node.cordoned
    await served.fleet.SetNodeCordon(ask(node_id="n1", cordoned=False))
    entries = await _audit(served, "node/n1")
    assert [each.action for each in entries] == ["uncordon-node", "cordon-node"]


async def test_a_decommissioned_node_stays_out_and_can_leave_the_inventory(
    served: Served,
) -> None:
    await served.apply(small_inventory())
    await served.fleet.EnrolNode(fleet_pb2.EnrolNodeRequest(node_id="n3", csr_pem=new_csr()))
    order = fleet_pb2.DecommissionNodeRequest(node_id="n3", reason="provider ends")
    node = await served.fleet.DecommissionNode(order)
    assert node.state == "decommissioned"
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await served.fleet.SetNodeCordon(fleet_pb2.SetNodeCordonRequest(node_id="n3"))
    assert refused.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    with pytest.raises(grpc.aio.AioRpcError, match="is decommissioned"):
        await served.fleet.EnrolNode(fleet_pb2.EnrolNodeRequest(node_id="n3", csr_pem=new_csr()))
    text = small_inventory()
    done = await served.apply(text[: text.index("  - id: n3")])
    assert [(each.action, each.id) for each in done.changes] == [("remove", "n3")]


async def test_the_last_node_is_not_decommissioned_and_nothing_is_changed(served: Served) -> None:
    await served.apply(small_inventory())
    for other in ("n1", "n2"):
        await served.fleet.SetNodeCordon(
            fleet_pb2.SetNodeCordonRequest(node_id=other, cordoned=True)
        )
    for force in (False, True):
        order = fleet_pb2.DecommissionNodeRequest(node_id="n3", reason="x", force=force)
        with pytest.raises(grpc.aio.AioRpcError, match="n3 is the last node") as refused:
            await served.fleet.DecommissionNode(order)
        assert refused.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert _rows(served, "SELECT count(*) FROM node WHERE decommissioned") == [(0,)]
    assert not await _audit(served, "node/n3")


async def test_a_node_whose_share_fits_nowhere_is_decommissioned_by_force_or_when_off(
    served: Served,
) -> None:
    await served.apply(small_inventory())
    _rows(served, "UPDATE node SET capacity = 1 WHERE id <> 'n3'")
    _rows(served, "DELETE FROM assignment")
    _rows(served, "INSERT INTO assignment (egress_id, node_id) SELECT id, 'n3' FROM egress")
    order = fleet_pb2.DecommissionNodeRequest(node_id="n3", reason="x")
    with pytest.raises(grpc.aio.AioRpcError, match="would find no place") as refused:
        await served.fleet.DecommissionNode(order)
    assert "--force: decommission it all the same" in (refused.value.details() or "")
    assert _rows(served, "SELECT count(*) FROM node WHERE decommissioned") == [(0,)]
    for way in ({"force": True}, {"fenced": True}):
        order = fleet_pb2.DecommissionNodeRequest(node_id="n3", reason="x", dry_run=True, **way)
        assert (await served.fleet.DecommissionNode(order)).state == "decommissioned"


async def test_a_fenced_node_loses_its_term_and_its_certificate(served: Served) -> None:
    await served.apply(small_inventory())
    await served.fleet.EnrolNode(fleet_pb2.EnrolNodeRequest(node_id="n1", csr_pem=new_csr()))
    _rows(served, "INSERT INTO lease (node_id, epoch, held) VALUES ('n1', 4, true)")
    _rows(served, "DELETE FROM assignment")
    _rows(served, "INSERT INTO assignment (egress_id, node_id, epoch) VALUES ('px001', 'n1', 4)")
    await served.fleet.DecommissionNode(
        fleet_pb2.DecommissionNodeRequest(node_id="n1", fenced=True, reason="burnt down")
    )
    assert _rows(served, "SELECT epoch, held FROM lease WHERE node_id = 'n1'") == [(5, False)]
    assert _rows(served, "SELECT 1 FROM assignment WHERE node_id = 'n1'") == []
    assert _rows(served, "SELECT certificate_sha256 FROM node WHERE id = 'n1'") == [(None,)]
    entries = await _audit(served, "node/n1")
    assert "attested to be off: burnt down" in [each.reason for each in entries]


async def test_a_machine_that_is_enrolled_anew_is_tried_with_every_proxy(served: Served) -> None:
    await served.apply(small_inventory())
    for node in ("n1", "n2"):
        mark = "('px001', %s, 'tcp', 'no route', now(), now() + interval '10 minutes', 1)"
        _rows(served, f"INSERT INTO unreachable VALUES {mark}", node)
    await served.fleet.EnrolNode(fleet_pb2.EnrolNodeRequest(node_id="n1", csr_pem=new_csr()))
    live = "SELECT node_id FROM unreachable WHERE until > now()"
    assert _rows(served, live) == [("n2",)]
    (entry,) = [e for e in await _audit(served, "node/n1") if e.action == "enrol-node"]
    assert json.loads(entry.evidence)["in_reach_again"] == ["px001"]


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
    _rows(
        served,
        "INSERT INTO suspension (scope, subject, source, stage, reason)"
        " VALUES ('egress', 'px001', 'probe', 'proxy-auth', 'refused')",
    )
    lifted = await served.fleet.SetSuspension(ask(scope="egress", subject="px001"))
    assert lifted.changed
    assert list(lifted.remaining) == ["probe: proxy-auth: refused"]
    entries = await _audit(served, "px001")
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
    _rows(
        served,
        "INSERT INTO message (id, client_id, idempotency_key, fingerprint, mailbox, egress_id,"
        " recipient, not_before, state, size, node_id, attempts, reason, final_at) VALUES"
        " ('0a', 'harbor', 'k1', '', 'ada.arendt@harbor-mail.test', 'px001', 'x@google.test',"
        " now(), 'sent', 10, 'n1', 2, '250 ok', now()),"
        " ('0b', 'alpine', 'k2', '', NULL, NULL, 'y@google.test', now() + interval '1 year',"
        " 'accepted', 10, NULL, 0, '', NULL)",
    )
    _rows(
        served,
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
    _rows(
        served,
        "INSERT INTO message (id, client_id, idempotency_key, fingerprint, mailbox, egress_id,"
        " recipient, not_before, state, size, charged_day) VALUES"
        " ('0a', 'harbor', 'k1', '', 'ada.arendt@harbor-mail.test', 'px001', 'x@google.test',"
        " now() + interval '1 day', 'scheduled', 10, current_date)",
    )
    _rows(
        served,
        "INSERT INTO ledger VALUES ('mailbox', 'ada.arendt@harbor-mail.test', current_date, 1),"
        " ('egress', 'px001', current_date, 1)",
    )
    old = "local_part: ada.arendt, name: Ada Arendt, egress: px001"
    await served.apply(small_inventory().replace(old, old.replace("px001", "px002"), 1))
    assert _rows(served, "SELECT state, egress_id FROM message") == [("accepted", None)]
    assert _rows(served, "SELECT DISTINCT used FROM ledger") == [(0,)]


async def test_a_fence_is_for_the_term_that_the_operator_was_shown(served: Served) -> None:
    await served.apply(small_inventory())
    _rows(served, "INSERT INTO lease (node_id, epoch, held) VALUES ('n1', 4, true)")
    ask = fleet_pb2.FenceNodeRequest
    dry = await served.fleet.FenceNode(ask(node_id="n1", dry_run=True))
    assert (dry.changed, dry.node.fenced, dry.at_stake.epoch) == (True, True, 4)
    assert _rows(served, "SELECT epoch, held FROM lease") == [(4, True)]
    with pytest.raises(grpc.aio.AioRpcError, match="was in term 3 when you were asked") as refused:
        await served.fleet.FenceNode(ask(node_id="n1", epoch=3))
    assert refused.value.code() is grpc.StatusCode.ABORTED
    assert _rows(served, "SELECT epoch, held FROM lease") == [(4, True)]
    done = await served.fleet.FenceNode(ask(node_id="n1", epoch=4))
    assert (done.changed, done.node.state) == (True, "new")
    assert not (await served.fleet.FenceNode(ask(node_id="n1"))).changed
    entries = await _audit(served, "node/n1")
    assert [each.action for each in entries] == ["end-term", "fence-node"]
    await served.fleet.EnrolNode(fleet_pb2.EnrolNodeRequest(node_id="n1", csr_pem=new_csr()))
    assert _rows(served, "SELECT fenced FROM node WHERE id = 'n1'") == [(False,)]


async def test_fencing_what_is_not_there_is_refused(served: Served) -> None:
    await served.apply(small_inventory())
    with pytest.raises(grpc.aio.AioRpcError, match="there is no node 'n9'"):
        await served.fleet.FenceNode(fleet_pb2.FenceNodeRequest(node_id="n9"))
    await served.fleet.DecommissionNode(fleet_pb2.DecommissionNodeRequest(node_id="n3"))
    _rows(served, "DELETE FROM assignment")
    with pytest.raises(grpc.aio.AioRpcError, match="nothing to fence") as refused:
        await served.fleet.FenceNode(fleet_pb2.FenceNodeRequest(node_id="n3"))
    assert refused.value.code() is grpc.StatusCode.FAILED_PRECONDITION
