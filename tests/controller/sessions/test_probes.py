"""What a node finds wrong with an egress holds for the whole fleet."""

from __future__ import annotations

from postfleet.v1 import node_pb2

from controller.server import Controller
from tests.controller.sessions.scene import audit_of, enrolled, running, sent_some, submit, until


async def test_a_bad_probe_suspends_for_the_whole_fleet_until_a_good_one(
    calm: Controller,
) -> None:
    controller = calm
    store = controller.store
    (agent,) = await enrolled(controller, "n1")
    async with running(agent):
        await until(lambda: len(agent.granted) == 2)
        mine, other = sorted(agent.granted)[0], "px4" if "px4" not in agent.granted else "px3"
        assert mine == "px1"
        bad = node_pb2.ProbeReport(egress_id="px1", stage="proxy-auth", detail="refused")
        for _ in range(2):
            agent.put(probe_report=bad)
        agent.put(probe_report=node_pb2.ProbeReport(egress_id=other, stage="tcp", detail="x"))
        await until(lambda: [item.subject for item in agent.suspensions] == ["px1"])
        assert [item.reason for item in agent.suspensions] == ["proxy-auth: refused"]
        await submit(store, 20)
        await until(lambda: sent_some(store, more_than=0))
        assert {m.egress_id for m in agent.spool.values()}.isdisjoint({"px1"})
        agent.put(probe_report=node_pb2.ProbeReport(egress_id="px1", healthy=True))
        await until(lambda: not agent.suspensions)
        await submit(store, 20, "again")
        await until(lambda: any(m.egress_id == "px1" for m in agent.spool.values()))
    assert [row["reason"] for row in await audit_of(store, "suspend-egress")] == [
        "proxy-auth: refused"
    ]
    assert len(await audit_of(store, "release-egress")) == 1
