"""FleetService and inventories, as the CLI meets it: over mTLS, on a real database."""

from __future__ import annotations

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from postfleet.v1 import fleet_pb2

from tests.controller.served import Served, inventory_request, new_csr, small_inventory


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
    entries = await served.audit("fleet/reference")
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
