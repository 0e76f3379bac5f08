"""Sessions end to end: real controller, real PostgreSQL, real mTLS, simulated agents."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest
from postfleet.v1 import fleet_pb2, node_pb2

from controller.fleet.fencing import fence
from controller.keys.authority import Issued
from controller.keys.sealing import open_sealer
from controller.server import Controller, serving
from controller.serving.settings import Endpoint, RunSettings
from controller.store import Store
from controller.store.queries import Query
from tests.controller.served import NO_DNS
from tests.controller.sessions.scene import audit_of, connected, running, states, submit, until
from tests.controller.simulated_agent import SimulatedAgent
from tests.controller.small_fleet import apply, enrol, small_inventory, sql


def settings(state_dir: Path) -> RunSettings:
    return RunSettings(
        state_dir=state_dir, listen=Endpoint("127.0.0.1", 0), join_grace_s=60, dns=NO_DNS
    )


@pytest.fixture
async def controller(database: str, store: Store, tmp_path: Path) -> AsyncIterator[Controller]:
    await apply(store, open_sealer(tmp_path), small_inventory())
    async with serving(settings(tmp_path), database) as controller:
        yield controller


@pytest.fixture
async def calm(database: str, store: Store, tmp_path: Path) -> AsyncIterator[Controller]:
    """A controller whose leases outlast a busy machine's pauses."""
    lease = {"ttl_s": 60, "margin_s": 5, "heartbeat_s": 0.3}
    await apply(store, open_sealer(tmp_path), small_inventory(lease=lease))
    async with serving(settings(tmp_path), database) as controller:
        yield controller


@pytest.fixture
async def one_node(database: str, store: Store, tmp_path: Path) -> AsyncIterator[Controller]:
    """A controller of a fleet with a single node."""
    lease = {"ttl_s": 60, "margin_s": 5, "heartbeat_s": 0.3}
    await apply(store, open_sealer(tmp_path), small_inventory(nodes=1, lease=lease))
    async with serving(settings(tmp_path), database) as controller:
        yield controller


def agent_of(controller: Controller, node_id: str, issued: Issued) -> SimulatedAgent:
    return SimulatedAgent(node_id, f"127.0.0.1:{controller.port}", controller.ca.pem, issued)


async def test_two_nodes_get_their_share_and_send_every_message_once(
    calm: Controller,
) -> None:
    controller = calm
    store = controller.store
    agents = [
        agent_of(controller, id, await enrol(store, controller.ca, id)) for id in ("n1", "n2")
    ]
    ids = await submit(store, 500)
    async with running(agents[0]), running(agents[1]):

        async def all_sent() -> bool:
            return (await states(store)).get("sent") == 500

        await until(all_sent)
    assert sum((a.handed_over for a in agents), start=agents[0].handed_over.__class__()) == (
        dict.fromkeys(ids, 1)
    )
    shares = [set(agent.grants[-1].egress_ids) for agent in agents]
    assert shares[0].isdisjoint(shares[1])
    assert shares[0] | shares[1] == {"px1", "px2", "px3", "px4"}
    message = next(iter(agents[0].spool.values()))
    assert message.content.endswith(b"Added: yesBody")


async def test_a_node_that_asks_for_another_nodes_session_is_refused_and_audited(
    calm: Controller,
) -> None:
    controller = calm
    issued = await enrol(controller.store, controller.ca, "n1")
    await enrol(controller.store, controller.ca, "n2")
    agent = agent_of(controller, "n2", issued)
    await agent.run(again=False)
    assert agent.code is grpc.StatusCode.PERMISSION_DENIED
    assert "node n1's" in agent.details
    (entry,) = await audit_of(controller.store, "refuse-session")
    assert entry["actor"] == "node/n1"
    assert entry["subject"] == "node/n2"


async def test_a_certificate_that_was_replaced_is_refused_and_its_session_ended(
    calm: Controller,
) -> None:
    controller = calm
    old = await enrol(controller.store, controller.ca, "n1")
    agent = agent_of(controller, "n1", old)
    async with running(agent):
        await until(lambda: connected(controller.store, "n1"))
        await enrol(controller.store, controller.ca, "n1")

        async def ended() -> bool:
            return agent.code is grpc.StatusCode.PERMISSION_DENIED

        await until(ended)
    grants = len(agent.grants)
    await agent.run(again=False)
    assert agent.code is grpc.StatusCode.PERMISSION_DENIED
    assert len(agent.grants) == grants


async def test_a_machine_with_a_new_certificate_waits_for_the_end_of_the_old_ones_term(
    controller: Controller,
) -> None:
    old = agent_of(controller, "n1", await enrol(controller.store, controller.ca, "n1"))
    async with running(old):

        async def granted() -> bool:
            return bool(old.granted)

        await until(granted)
    trusted_until_s = old.trusted_until_s
    new = agent_of(controller, "n1", await enrol(controller.store, controller.ca, "n1"))
    async with running(new):

        async def granted_anew() -> bool:
            return bool(new.grants)

        await until(granted_anew)
        assert time.monotonic() > trusted_until_s
        assert new.epoch > old.epoch


async def test_a_newer_session_ends_the_older_one(calm: Controller) -> None:
    controller = calm
    issued = await enrol(controller.store, controller.ca, "n1")
    first, second = agent_of(controller, "n1", issued), agent_of(controller, "n1", issued)
    second.spool_id, second.boot_id = first.spool_id, first.boot_id
    once = asyncio.create_task(first.run(again=False))
    await until(lambda: connected(controller.store, "n1"))
    async with running(second):
        await asyncio.wait_for(once, 10)
        assert first.code is grpc.StatusCode.ABORTED
        await until(lambda: connected(controller.store, "n1"))


async def test_a_lost_nodes_egresses_go_to_another_node_and_its_mail_waits_for_it(
    controller: Controller,
) -> None:
    store = controller.store
    agents = [
        agent_of(controller, id, await enrol(store, controller.ca, id)) for id in ("n1", "n2")
    ]
    agents[0].hand_over = False
    async with running(agents[1]):
        async with running(agents[0]):
            ids = await submit(store, 100)

            async def spooled() -> bool:
                return len(agents[0].spool) == 50 and len(agents[1].done) == 50

            await until(spooled)
        silent_since = agents[0].trusted_until_s

        async def taken_over() -> bool:
            return len(agents[1].granted) == 4

        await until(taken_over)
        assert time.monotonic() > silent_since
        assert (await audit_of(store, "end-term"))[0]["subject"] == "node/n1"
        more = await submit(store, 100, "later")

        async def sent_elsewhere() -> bool:
            return (await states(store)).get("sent") == 150

        await until(sent_elsewhere)
        assert (await states(store))["dispatched"] == 50
        reason = await store.fetch_value(
            sql("SELECT DISTINCT reason FROM message WHERE state = 'dispatched'")
        )
        assert "n1" in reason
        # The node comes back without its egresses: its mail is still there, once.
        agents[0].hand_over = True
        async with running(agents[0]):
            await until(lambda: connected(store, "n1"))
            agents[0].granted = agents[1].granted  # as if it were allowed, to see what it has
    total = agents[0].handed_over + agents[1].handed_over
    assert all(total[id] <= 1 for id in ids + more)


async def test_reports_repeated_any_number_of_times_change_nothing(
    one_node: Controller,
) -> None:
    controller, store = one_node, one_node.store
    agent = agent_of(controller, "n1", await enrol(store, controller.ca, "n1"))
    async with running(agent):
        await submit(store, 10)

        async def all_sent() -> bool:
            return (await states(store)).get("sent") == 10

        await until(all_sent)
        before = await store.fetch_all(sql("SELECT * FROM message ORDER BY id"))
        seqs = await store.fetch_value(sql("SELECT count(*) FROM event"))
        old = [
            node_pb2.MessageEvent(
                seq=seq, message_id=before[0]["id"], kind=node_pb2.EVENT_KIND_BOUNCED
            )
            for seq in range(1, 6)
        ]
        for event in old:
            event.at.GetCurrentTime()
        for _ in range(3):
            agent.put(event_report=node_pb2.EventReport(spool_id=agent.spool_id, events=old))
        new = node_pb2.MessageEvent(
            seq=1000, message_id="nobody", kind=node_pb2.EVENT_KIND_SENT, reason="nul \x00 inside"
        )
        new.at.GetCurrentTime()
        agent.put(event_report=node_pb2.EventReport(spool_id=agent.spool_id, events=[new]))

        async def stored() -> bool:
            return bool(await store.fetch_value(sql("SELECT count(*) FROM event WHERE seq = 1000")))

        await until(stored)
    assert await store.fetch_all(sql("SELECT * FROM message ORDER BY id")) == before
    assert await store.fetch_value(sql("SELECT count(*) FROM event")) == seqs + 1


async def test_a_node_cannot_report_on_messages_it_never_had(calm: Controller) -> None:
    controller = calm
    store = controller.store
    agents = [
        agent_of(controller, id, await enrol(store, controller.ca, id)) for id in ("n1", "n2")
    ]
    agents[0].hand_over = agents[1].hand_over = False
    async with running(agents[0]), running(agents[1]):
        await submit(store, 10)

        async def spooled() -> bool:
            return (await states(store)).get("dispatched") == 10

        await until(spooled)
        foreign = next(iter(agents[0].spool))
        agents[1].event(foreign, node_pb2.EVENT_KIND_SENT)
        agents[1].put(
            event_report=node_pb2.EventReport(spool_id=agents[1].spool_id, events=agents[1].events)
        )

        async def acknowledged() -> bool:
            return not agents[1].events

        await until(acknowledged)
        assert (await states(store)) == {"dispatched": 10}


async def test_a_bad_probe_suspends_for_the_whole_fleet_until_a_good_one(
    calm: Controller,
) -> None:
    controller = calm
    store = controller.store
    agent = agent_of(controller, "n1", await enrol(store, controller.ca, "n1"))

    async def granted() -> bool:
        return len(agent.granted) == 2

    async def suspended() -> bool:
        return [item.subject for item in agent.suspensions] == ["px1"]

    async def free() -> bool:
        return not agent.suspensions

    async with running(agent):
        await until(granted)
        mine, other = sorted(agent.granted)[0], "px4" if "px4" not in agent.granted else "px3"
        assert mine == "px1"
        bad = node_pb2.ProbeReport(egress_id="px1", stage="proxy-auth", detail="refused")
        for _ in range(2):
            agent.put(probe_report=bad)
        agent.put(probe_report=node_pb2.ProbeReport(egress_id=other, stage="tcp", detail="x"))
        await until(suspended)
        await submit(store, 20)

        async def rest_sent() -> bool:
            return (await states(store)).get("sent", 0) > 0

        await until(rest_sent)
        assert {m.egress_id for m in agent.spool.values()}.isdisjoint({"px1"})
        agent.put(probe_report=node_pb2.ProbeReport(egress_id="px1", healthy=True))
        await until(free)
        await submit(store, 20, "again")

        async def more_sent() -> bool:
            return any(m.egress_id == "px1" for m in agent.spool.values())

        await until(more_sent)
    assert len(await audit_of(store, "suspend-egress")) == 1
    assert len(await audit_of(store, "release-egress")) == 1


async def test_a_spec_the_node_cannot_apply_leaves_the_running_one_and_says_why(
    calm: Controller,
) -> None:
    controller = calm
    store = controller.store
    agent = agent_of(controller, "n1", await enrol(store, controller.ca, "n1"))
    async with running(agent):

        async def granted() -> bool:
            return len(agent.granted) == 2 and agent.running_generation > 1

        await until(granted)
        running_before = agent.running_generation
        agent.refuse_specs = True
        await apply(store, controller.sealer, small_inventory(mail={"egress_concurrency": 7}))

        async def said() -> bool:
            return bool(await store.fetch_value(sql("SELECT spec_error FROM node WHERE id = 'n1'")))

        await until(said)
        assert agent.running_generation == running_before
        await submit(store, 20)

        async def sent() -> bool:
            return (await states(store)).get("sent", 0) > 5

        await until(sent)
    (entry,) = await audit_of(store, "refuse-spec")
    assert entry["reason"] == "render: no"


async def test_what_a_node_runs_is_known_although_its_apply_was_called_failed(
    calm: Controller,
) -> None:
    """As after a kill of apply behind the swap: the agent asks again and learns what runs."""
    store = calm.store
    agent = agent_of(calm, "n1", await enrol(store, calm.ca, "n1"))
    async with running(agent):

        async def granted() -> bool:
            return len(agent.granted) == 2 and agent.running_generation > 1

        await until(granted)
        agent.refuse_specs = True
        await apply(store, calm.sealer, small_inventory(mail={"egress_concurrency": 7}))

        async def said() -> bool:
            return bool(await store.fetch_value(sql("SELECT spec_error FROM node WHERE id = 'n1'")))

        await until(said)
        agent.end_late()

        async def runs() -> bool:
            return not await store.fetch_value(sql("SELECT spec_error FROM node WHERE id = 'n1'"))

        await until(runs)
        known = await store.fetch_value(
            sql("SELECT count(*) FROM running_mailbox WHERE node_id = 'n1'")
        )
        assert known == len(agent.mailboxes) > 0


@pytest.mark.parametrize("acknowledged", [True, False])
async def test_mail_on_a_lost_disk_is_uncertain_where_it_may_have_been_attempted_and_only_there(
    acknowledged: bool, database: str, store: Store, tmp_path: Path
) -> None:
    """What was due may have gone out, whether or not we heard that it was stored. What no grant let
    become due did not: it goes out from the new disk."""
    lease = {"ttl_s": 20, "margin_s": 5, "heartbeat_s": 0.3}
    await apply(store, open_sealer(tmp_path), small_inventory(nodes=1, lease=lease))
    async with serving(settings(tmp_path), database) as controller:
        agent = agent_of(controller, "n1", await enrol(store, controller.ca, "n1"))
        agent.hand_over, agent.answer_dispatch = False, acknowledged
        async with running(agent):
            due = set(await submit(store, 12))
            later = set(await submit(store, 8, "later", due_in_s=50))

            async def spooled() -> bool:
                return len(agent.spool) == 20

            await until(spooled)
            if acknowledged:
                stored = sql("SELECT count(*) FROM message WHERE stored")
                await until(lambda: _equals(store, stored, 20))
        order = fleet_pb2.FenceNodeRequest(node_id="n1", dry_run=True)
        stake = (await fence(store, order, "operator/test")).at_stake
        assert (stake.messages["dispatched"], stake.messages_not_due) == (20, 8)
        agent.spool_id, agent.spool, agent.answer_dispatch = "new", {}, True
        async with running(agent):
            await until(lambda: connected(store, "n1"))

            async def again() -> bool:
                return set(agent.spool) == later

            await until(again)
        rows = await store.fetch_all(
            sql("SELECT id, reason FROM message WHERE state = 'uncertain'")
        )
        assert {row["id"] for row in rows} == due
        words = "was on that disk and due" if acknowledged else "without our hearing of it"
        assert all(words in row["reason"] for row in rows)
        (entry,) = await audit_of(store, "lose-spool")
        assert entry["evidence"]["count"] == 12  # type: ignore[index]
        assert entry["evidence"]["scheduled"] == 8  # type: ignore[index]


async def _equals(store: Store, query: Query, wanted: object) -> bool:
    return bool(await store.fetch_value(query) == wanted)


async def test_mail_that_was_not_due_when_a_term_ended_goes_out_from_elsewhere_once(
    controller: Controller,
) -> None:
    """The node keeps its disk and comes back: what was taken back it never hands over."""
    store = controller.store
    first, second = [
        agent_of(controller, id, await enrol(store, controller.ca, id)) for id in ("n1", "n2")
    ]
    first.hand_over = False
    async with running(second):
        async with running(first):

            async def shared() -> bool:
                return len(first.granted) == 2 and len(second.granted) == 2

            await until(shared)
            await submit(store, 40, due_in_s=50)

            async def spooled() -> bool:
                return len(first.spool) == 20

            await until(spooled)

        async def all_sent() -> bool:
            return (await states(store)).get("sent") == 40

        await until(all_sent)
        end = (await audit_of(store, "end-term"))[0]
        assert end["evidence"]["mail_taken_back"] == 20  # type: ignore[index]
        first.hand_over = True
        async with running(first):
            await until(lambda: connected(store, "n1"))
            await asyncio.sleep(0.5)
    assert set((first.handed_over + second.handed_over).values()) == {1}


async def test_mail_that_was_never_acknowledged_is_sent_again_in_the_next_session(
    one_node: Controller,
) -> None:
    controller, store = one_node, one_node.store
    agent = agent_of(controller, "n1", await enrol(store, controller.ca, "n1"))
    agent.answer_dispatch = agent.hand_over = False
    async with running(agent):
        await submit(store, 20)

        async def spooled() -> bool:
            return len(agent.spool) >= 10

        await until(spooled)
    kept = set(list(agent.spool)[::2])
    agent.spool = {id: m for id, m in agent.spool.items() if id in kept}
    agent.answer_dispatch = agent.hand_over = True
    async with running(agent):

        async def all_sent() -> bool:
            return (await states(store)).get("sent", 0) >= 10

        await until(all_sent)
    assert set(agent.handed_over.values()) == {1}


async def test_a_node_out_of_service_gives_its_egresses_back_and_another_takes_them(
    calm: Controller,
) -> None:
    controller = calm
    store = controller.store
    agents = [
        agent_of(controller, id, await enrol(store, controller.ca, id)) for id in ("n1", "n2")
    ]
    async with running(agents[0]), running(agents[1]):

        async def both() -> bool:
            return all(len(agent.granted) == 2 for agent in agents)

        await until(both)
        await store.execute(sql("UPDATE node SET decommissioned = true WHERE id = 'n1'"))

        async def moved() -> bool:
            return len(agents[1].granted) == 4 and not agents[0].granted

        await until(moved)
        assert len(await audit_of(store, "release-egress-lease")) == 2
        assert not await audit_of(store, "end-term")
        # Back again: what it gave back in this very term comes in a later one.
        epoch = agents[0].epoch
        await store.execute(sql("UPDATE node SET decommissioned = id = 'n2'"))

        async def back() -> bool:
            return len(agents[0].granted) == 4

        await until(back)
        assert agents[0].epoch > epoch
