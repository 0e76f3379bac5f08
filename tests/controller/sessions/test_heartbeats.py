"""Many heartbeats in one transaction: each node gets what is its own, and waits for nobody."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from postfleet.v1 import node_pb2

from controller.desired.current import CurrentFleet
from controller.keys.authority import FleetCa, open_fleet_ca
from controller.keys.identity import Identity, Kind
from controller.keys.sealing import open_sealer
from controller.server import serving
from controller.serving.settings import Endpoint, RunSettings
from controller.sessions.heartbeats import Heartbeats
from controller.sessions.session import NodeSession
from controller.store import Store, queries
from controller.store.errors import QueryFailed
from tests.controller.served import NO_DNS
from tests.controller.sessions.scene import connected, running, submit, until
from tests.controller.simulated_agent import SimulatedAgent
from tests.controller.small_fleet import apply, enrol, small_inventory, sql

NODES = 6
_LEASES = queries.load("leases")


class Scene:
    """A fleet of six nodes with an egress each, their sessions, and who answers them."""

    def __init__(self, store: Store, ca: FleetCa) -> None:
        self.store = store
        self.ca = ca
        self.heartbeats = Heartbeats(store, CurrentFleet())
        self.sessions: dict[str, NodeSession] = {}
        self._seq = 0

    async def session(self, node_id: str, name: str = "s", boot_id: str = "b") -> NodeSession:
        """The one that speaks for the node from now on."""
        row = await self.store.fetch_one(
            sql("SELECT certificate_sha256 FROM node WHERE id = %(id)s"), id=node_id
        )
        identity = Identity(Kind.NODE, node_id, bytes(row["certificate_sha256"]))
        session = NodeSession(identity, f"{name}-{node_id}", f"{boot_id}-{node_id}", "spool", 0)
        await self.store.execute(
            _LEASES["take_session"], node_id=node_id, session_id=session.session_id
        )
        self.sessions[node_id] = session
        return session

    async def beat(self, session: NodeSession, spooled: int = 7) -> bool:
        self._seq += 1
        load = node_pb2.NodeLoad(spooled=spooled, queued=3, deferred=2, disk_free_bytes=1 << 40)
        return await self.heartbeats.answer(session, node_pb2.Heartbeat(seq=self._seq, load=load))

    async def leases(self) -> dict[str, tuple[int, bool, int]]:
        rows = await self.store.fetch_all(sql("SELECT node_id, renewals, held, epoch FROM lease"))
        return {row["node_id"]: (row["renewals"], row["held"], row["epoch"]) for row in rows}


@pytest.fixture
async def scene(store: Store, tmp_path: Path) -> Scene:
    await apply(store, open_sealer(tmp_path), small_inventory(nodes=NODES, egresses=NODES))
    scene = Scene(store, open_fleet_ca(tmp_path))
    for n in range(1, NODES + 1):
        await enrol(store, scene.ca, f"n{n}")
        await scene.session(f"n{n}")
    await store.execute(
        sql("INSERT INTO assignment (egress_id, node_id) SELECT 'px' || n, 'n' || n"
            " FROM generate_series(1, 5) AS n")
    )  # fmt: skip
    return scene


async def granted(session: NodeSession) -> node_pb2.LeaseGrant:
    message = await asyncio.wait_for(session.outbox.get(), 1)
    return message.lease_grant


async def test_each_node_is_granted_what_is_its_own(scene: Scene) -> None:
    answers = await asyncio.gather(*(scene.beat(s) for s in scene.sessions.values()))
    assert answers == [True] * NODES
    for n in range(1, NODES + 1):
        session = scene.sessions[f"n{n}"]
        grant = await granted(session)
        assert list(grant.egress_ids) == ([f"px{n}"] if n <= 5 else [])
        assert session.answered_heartbeat is not None
        assert grant.heartbeat_seq == session.answered_heartbeat[0]
        assert grant.at.ToDatetime().timestamp() > 0
    assert await scene.leases() == {f"n{n}": (1, True, 1) for n in range(1, NODES + 1)}
    rows = await scene.store.fetch_all(sql("SELECT DISTINCT connected, spooled, queued FROM node"))
    assert [tuple(row.values()) for row in rows] == [(True, 7, 3)]
    due = await scene.store.fetch_value(
        sql("SELECT bool_and(due_until > now() + interval '50 s') FROM lease")
    )
    assert due


async def test_who_may_not_renew_is_left_out_and_the_others_are_granted(scene: Scene) -> None:
    superseded = scene.sessions["n1"]
    await scene.session("n1", name="newer")
    replaced = scene.sessions["n2"]
    await enrol(scene.store, scene.ca, "n2")
    assert await scene.beat(scene.sessions["n3"])
    await enrol(scene.store, scene.ca, "n3")
    other_machine = await scene.session("n3", name="other", boot_id="other")
    asked = [superseded, replaced, other_machine, scene.sessions["n4"], scene.sessions["n1"]]
    answers = await asyncio.gather(*(scene.beat(session) for session in asked))
    assert answers == [False, False, False, True, True]
    leases = await scene.leases()
    assert leases["n2"] == (0, False, 1)
    assert leases["n3"] == (1, True, 1)
    assert leases["n1"] == leases["n4"] == (1, True, 1)


async def test_a_heartbeat_that_cannot_be_stored_harms_no_other_lease(scene: Scene) -> None:
    beats = [
        scene.beat(session, spooled=2**64 - 1 if id == "n3" else 1)
        for id, session in scene.sessions.items()
    ]
    answers = await asyncio.gather(*beats, return_exceptions=True)
    assert isinstance(answers.pop(2), QueryFailed)
    assert answers == [True] * (NODES - 1)
    assert (await scene.leases())["n3"] == (0, False, 1)


async def test_a_renewal_does_not_wait_for_what_is_said_of_the_node(scene: Scene) -> None:
    async with scene.store.transaction() as tx:
        await tx.execute(sql("UPDATE node SET cordoned = true WHERE id = 'n1'"))
        async with asyncio.timeout(5):
            assert await asyncio.gather(*(scene.beat(s) for s in scene.sessions.values()))
    assert (await scene.leases())["n1"] == (1, True, 1)
    rows = await scene.store.fetch_all(sql("SELECT id FROM node WHERE spooled <> 7"))
    assert [row["id"] for row in rows] == ["n1"]
    await scene.beat(scene.sessions["n1"])
    assert not await scene.store.fetch_all(sql("SELECT id FROM node WHERE spooled <> 7"))


async def test_what_was_assigned_since_comes_into_the_term(scene: Scene) -> None:
    await asyncio.gather(*(scene.beat(s) for s in scene.sessions.values()))
    await scene.store.execute(
        sql("UPDATE assignment SET node_id = 'n6', epoch = 0 WHERE egress_id IN ('px1', 'px2')")
    )
    await asyncio.gather(*(scene.beat(s) for s in scene.sessions.values()))
    grants = {}
    for id, session in scene.sessions.items():
        await granted(session)
        grants[id] = list((await granted(session)).egress_ids)
    assert grants == {"n1": [], "n2": [], "n3": ["px3"], "n4": ["px4"], "n5": ["px5"],
                      "n6": ["px1", "px2"]}  # fmt: skip


async def test_leases_are_renewed_while_reports_wait(
    database: str, store: Store, tmp_path: Path
) -> None:
    """A report that waits for a row which somebody holds keeps nobody from renewing, its own node
    neither, and is stored when the row is free."""
    await apply(store, open_sealer(tmp_path), small_inventory(nodes=1))
    settings = RunSettings(tmp_path, Endpoint("127.0.0.1", 0), join_grace_s=60, dns=NO_DNS)
    async with serving(settings, database) as controller:
        issued = await enrol(store, controller.ca, "n1")
        target = f"127.0.0.1:{controller.port}"
        agent = SimulatedAgent("n1", target, controller.ca.pem, issued)
        agent.hand_over = False
        (id,) = await submit(store, 1)
        async with running(agent):
            await until(lambda: connected(store, "n1"))

            async def stored() -> bool:
                return bool(
                    await store.fetch_value(
                        sql("SELECT count(*) FROM message WHERE state = 'dispatched' AND stored")
                    )
                )

            await until(stored)
            async with store.transaction() as tx:
                await tx.fetch_all(sql("SELECT 1 FROM message FOR UPDATE"))
                agent.hand_over = True

                async def reported() -> bool:
                    return bool(agent.events)

                await until(reported)
                before = len(agent.grants)

                async def renewed() -> bool:
                    return len(agent.grants) >= before + 10

                await until(renewed, 20)
                assert agent.sessions == 1
                assert len(agent.events) == 2, "nothing is acknowledged that is not stored"

            async def acknowledged() -> bool:
                return not agent.events

            await until(acknowledged)
        assert agent.handed_over == {id: 1}
