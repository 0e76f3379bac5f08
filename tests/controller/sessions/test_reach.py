"""An egress that its node's network does not lead to goes to another node, with real PostgreSQL."""

from __future__ import annotations

from postfleet.v1 import fleet_pb2, node_pb2

from controller.fleet import lists
from controller.fleet.why import explain
from controller.server import Controller
from controller.store import Store
from tests.controller.sessions.scene import audit_of, enrolled, running, until
from tests.controller.simulated_agent import SimulatedAgent
from tests.controller.small_fleet import sql


def failed(egress_id: str, in_a_row: int, stage: str = "tcp") -> node_pb2.ProbeReport:
    return node_pb2.ProbeReport(
        egress_id=egress_id, stage=stage, detail="no route to host", in_a_row=in_a_row
    )


def good(egress_id: str) -> node_pb2.ProbeReport:
    return node_pb2.ProbeReport(egress_id=egress_id, healthy=True)


async def where(store: Store, egress_id: str) -> str | None:
    return await store.fetch_value(
        sql("SELECT node_id FROM assignment WHERE egress_id = %(id)s"), id=egress_id
    )


async def shown(store: Store, egress_id: str) -> fleet_pb2.EgressRow:
    (row,) = (await lists.egresses(store, fleet_pb2.ListRequest(id=egress_id))).egresses
    return row


async def suspended(store: Store) -> list[str]:
    return [r["subject"] for r in await store.fetch_all(sql("SELECT subject FROM suspension"))]


async def both(controller: Controller) -> tuple[SimulatedAgent, SimulatedAgent]:
    first, second = await enrolled(controller, "n1", "n2")
    return first, second


async def test_it_moves_when_its_node_fails_twice_in_a_row_and_goes_on_with_a_good_probe(
    calm: Controller,
) -> None:
    store = calm.store
    first, second = await both(calm)
    async with running(first), running(second):
        await until(lambda: len(first.granted) == len(second.granted) == 2)
        one = min(first.granted)
        first.put(probe_report=failed(one, 1))
        await until(lambda: [s.subject for s in first.suspensions] == [one])
        assert not (await shown(store, one)).unreachable_from
        for _ in range(2):
            first.put(probe_report=failed(one, 2))
        await until(lambda: one in second.granted)
        assert one not in first.granted
        row = await shown(store, one)
        assert [(u.node_id, u.detail) for u in row.unreachable_from] == [("n1", "no route to host")]
        assert row.unreachable_from[0].until.seconds - row.unreachable_from[0].since.seconds > 590
        assert row.reason.endswith("out of reach of n1")
        assert row.state == "suspended"
        request = fleet_pb2.WhyRequest(kind="egress", id=one)
        said = {f.name: f for f in (await explain(store, request)).facts}
        assert said["egress suspension"].value.count("tcp") == 1
        assert said["out of reach"].value == "of n1: no route to host"
        assert not said["out of reach"].binds
        assert said["node"].value == f"{one} is on n2"
        second.put(probe_report=good(one))
        await until(lambda: audit_has(store, "release-egress", 1))
        assert not await suspended(store)
    assert len(await audit_of(store, "mark-unreachable")) == 1
    (asked,) = await audit_of(store, "ask-egress-back")
    assert asked["reason"] == "placement: unreachable"


async def test_what_a_proxy_or_a_receiver_answers_moves_nothing(calm: Controller) -> None:
    store = calm.store
    first, second = await both(calm)
    async with running(first), running(second):
        await until(lambda: len(first.granted) == len(second.granted) == 2)
        one = min(first.granted)
        for stage in ("proxy-auth", "proxy-request", "exit-address"):
            first.put(probe_report=failed(one, 9, stage))
        await until(lambda: audit_has(store, "suspend-egress", 3))
        assert await store.fetch_value(sql("SELECT count(*) FROM unreachable")) == 0
        assert await where(store, one) == "n1"


async def audit_has(store: Store, action: str, count: int) -> bool:
    return len(await audit_of(store, action)) == count


async def test_a_node_speaks_for_its_own_egresses_only(calm: Controller) -> None:
    first, second = await both(calm)
    async with running(first), running(second):
        await until(lambda: len(first.granted) == len(second.granted) == 2)
        first.put(probe_report=failed(min(second.granted), 5))
        first.put(probe_report=failed(min(first.granted), 1))
        await until(lambda: audit_has(calm.store, "suspend-egress", 1))
        assert await calm.store.fetch_value(sql("SELECT count(*) FROM unreachable")) == 0


async def test_a_second_nodes_failure_keeps_it_where_it_is_until_a_mark_is_over(
    calm: Controller,
) -> None:
    store = calm.store
    first, second = await both(calm)
    async with running(first), running(second):
        await until(lambda: len(first.granted) == len(second.granted) == 2)
        one = min(first.granted)
        first.put(probe_report=failed(one, 2))
        await until(lambda: one in second.granted)
        second.put(probe_report=failed(one, 2))
        await until(lambda: audit_has(store, "mark-unreachable", 2))
        # Another one moves, so the next cycle of reconcile has been; this one stayed.
        other = max(first.granted)
        first.put(probe_report=failed(other, 2))
        await until(lambda: other in second.granted)
        assert await where(store, one) == "n2"
        assert one in await suspended(store)
        rows = await store.fetch_all(
            sql("SELECT node_id, strikes, until - since AS lasts FROM unreachable"
                " WHERE egress_id = %(id)s ORDER BY 1"), id=one,
        )  # fmt: skip
        assert [(r["node_id"], r["strikes"], r["lasts"].total_seconds()) for r in rows] == [
            ("n1", 1, 600), ("n2", 2, 1200),
        ]  # fmt: skip
        await store.execute(
            sql("UPDATE unreachable SET until = now() WHERE egress_id = %(id)s AND node_id = 'n1'"),
            id=one,
        )
        await until(lambda: one in first.granted)
        first.put(probe_report=failed(one, 2))
        await until(lambda: audit_has(store, "mark-unreachable", 4))
        assert (await shown(store, one)).unreachable_from[0].node_id == "n1"


async def test_a_good_probe_of_the_node_that_has_it_lifts_the_mark(one_node: Controller) -> None:
    store = one_node.store
    (agent,) = await enrolled(one_node, "n1")
    async with running(agent):
        await until(lambda: len(agent.granted) == 4)
        agent.put(probe_report=failed("px1", 2))
        await until(lambda: audit_has(store, "leave-out-egresses", 1))
        (entry,) = await audit_of(store, "leave-out-egresses")
        assert "no active node reaches its proxy (n1 cannot)" in entry["reason"]
        assert await where(store, "px1") == "n1"
        request = fleet_pb2.WhyRequest(kind="egress", id="px1")
        said = {f.name: f for f in (await explain(store, request)).facts}
        assert said["out of reach"].binds
        agent.put(probe_report=good("px1"))
        await until(lambda: audit_has(store, "lift-unreachable", 1))
        assert not (await shown(store, "px1")).unreachable_from
        assert not await suspended(store)
