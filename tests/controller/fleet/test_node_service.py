"""FleetService and nodes, over mTLS: enrolled, cordoned, decommissioned, fenced."""

from __future__ import annotations

import json

import grpc
import pytest
from cryptography import x509
from postfleet.v1 import fleet_pb2

from tests.controller.served import Served, new_csr, small_inventory


async def test_enrolment_puts_the_newest_certificate_in_force(served: Served) -> None:
    await served.apply(small_inventory())
    digests = []
    for _ in range(2):
        reply = await served.fleet.EnrolNode(
            fleet_pb2.EnrolNodeRequest(node_id="n1", csr_pem=new_csr())
        )
        assert x509.load_pem_x509_certificate(reply.certificate_pem.encode())
        digests += served.rows("SELECT certificate_sha256 FROM node WHERE id = 'n1'")
    assert digests[0] != digests[1]
    entries = await served.audit("node/n1")
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
    assert served.rows("SELECT cordoned FROM node WHERE id = 'n1'") == [(False,)]
    for _ in range(2):
        node = await served.fleet.SetNodeCordon(ask(node_id="n1", cordoned=True))
        assert node.cordoned
    await served.fleet.SetNodeCordon(ask(node_id="n1", cordoned=False))
    entries = await served.audit("node/n1")
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
    assert served.rows("SELECT count(*) FROM node WHERE decommissioned") == [(0,)]
    assert not await served.audit("node/n3")


async def test_a_node_whose_share_fits_nowhere_is_decommissioned_by_force_or_when_off(
    served: Served,
) -> None:
    await served.apply(small_inventory())
    served.rows("UPDATE node SET capacity = 1 WHERE id <> 'n3'")
    served.rows("DELETE FROM assignment")
    served.rows("INSERT INTO assignment (egress_id, node_id) SELECT id, 'n3' FROM egress")
    order = fleet_pb2.DecommissionNodeRequest(node_id="n3", reason="x")
    with pytest.raises(grpc.aio.AioRpcError, match="would find no place") as refused:
        await served.fleet.DecommissionNode(order)
    assert "--force: decommission it all the same" in (refused.value.details() or "")
    assert served.rows("SELECT count(*) FROM node WHERE decommissioned") == [(0,)]
    for way in ({"force": True}, {"fenced": True}):
        order = fleet_pb2.DecommissionNodeRequest(node_id="n3", reason="x", dry_run=True, **way)
        assert (await served.fleet.DecommissionNode(order)).state == "decommissioned"


async def test_a_fenced_node_loses_its_term_and_its_certificate(served: Served) -> None:
    await served.apply(small_inventory())
    await served.fleet.EnrolNode(fleet_pb2.EnrolNodeRequest(node_id="n1", csr_pem=new_csr()))
    served.rows("INSERT INTO lease (node_id, epoch, held) VALUES ('n1', 4, true)")
    served.rows("DELETE FROM assignment")
    served.rows("INSERT INTO assignment (egress_id, node_id, epoch) VALUES ('px001', 'n1', 4)")
    await served.fleet.DecommissionNode(
        fleet_pb2.DecommissionNodeRequest(node_id="n1", fenced=True, reason="burnt down")
    )
    assert served.rows("SELECT epoch, held FROM lease WHERE node_id = 'n1'") == [(5, False)]
    assert served.rows("SELECT 1 FROM assignment WHERE node_id = 'n1'") == []
    assert served.rows("SELECT certificate_sha256 FROM node WHERE id = 'n1'") == [(None,)]
    entries = await served.audit("node/n1")
    assert "attested to be off: burnt down" in [each.reason for each in entries]


async def test_a_machine_that_is_enrolled_anew_is_tried_with_every_proxy(served: Served) -> None:
    await served.apply(small_inventory())
    for node in ("n1", "n2"):
        mark = "('px001', %s, 'tcp', 'no route', now(), now() + interval '10 minutes', 1)"
        served.rows(f"INSERT INTO unreachable VALUES {mark}", node)
    await served.fleet.EnrolNode(fleet_pb2.EnrolNodeRequest(node_id="n1", csr_pem=new_csr()))
    live = "SELECT node_id FROM unreachable WHERE until > now()"
    assert served.rows(live) == [("n2",)]
    (entry,) = [e for e in await served.audit("node/n1") if e.action == "enrol-node"]
    assert json.loads(entry.evidence)["in_reach_again"] == ["px001"]


async def test_a_fence_is_for_the_term_that_the_operator_was_shown(served: Served) -> None:
    await served.apply(small_inventory())
    served.rows("INSERT INTO lease (node_id, epoch, held) VALUES ('n1', 4, true)")
    ask = fleet_pb2.FenceNodeRequest
    dry = await served.fleet.FenceNode(ask(node_id="n1", dry_run=True))
    assert (dry.changed, dry.node.fenced, dry.at_stake.epoch) == (True, True, 4)
    assert served.rows("SELECT epoch, held FROM lease") == [(4, True)]
    with pytest.raises(grpc.aio.AioRpcError, match="was in term 3 when you were asked") as refused:
        await served.fleet.FenceNode(ask(node_id="n1", epoch=3))
    assert refused.value.code() is grpc.StatusCode.ABORTED
    assert served.rows("SELECT epoch, held FROM lease") == [(4, True)]
    done = await served.fleet.FenceNode(ask(node_id="n1", epoch=4))
    assert (done.changed, done.node.state) == (True, "new")
    assert not (await served.fleet.FenceNode(ask(node_id="n1"))).changed
    entries = await served.audit("node/n1")
    assert [each.action for each in entries] == ["end-term", "fence-node"]
    await served.fleet.EnrolNode(fleet_pb2.EnrolNodeRequest(node_id="n1", csr_pem=new_csr()))
    assert served.rows("SELECT fenced FROM node WHERE id = 'n1'") == [(False,)]


async def test_fencing_what_is_not_there_is_refused(served: Served) -> None:
    await served.apply(small_inventory())
    with pytest.raises(grpc.aio.AioRpcError, match="there is no node 'n9'"):
        await served.fleet.FenceNode(fleet_pb2.FenceNodeRequest(node_id="n9"))
    await served.fleet.DecommissionNode(fleet_pb2.DecommissionNodeRequest(node_id="n3"))
    served.rows("DELETE FROM assignment")
    with pytest.raises(grpc.aio.AioRpcError, match="nothing to fence") as refused:
        await served.fleet.FenceNode(fleet_pb2.FenceNodeRequest(node_id="n3"))
    assert refused.value.code() is grpc.StatusCode.FAILED_PRECONDITION
