"""Reconcile against a real database, with a clock of the test's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller.keys.sealing import open_sealer
from controller.loops.reconcile import Reconciler
from controller.shards.fleet_now import FleetNow
from controller.shards.read import read_fleet_now
from controller.store import Store, Transaction, queries
from tests.controller.small_fleet import apply, small_inventory, sql


class Scene:
    def __init__(self, store: Store) -> None:
        self.store = store
        self.now_s = 1000.0
        self.reconciler = Reconciler(store, clock=lambda: self.now_s, join_grace_s=60)

    async def cycle(self, after_s: float = 0) -> str:
        self.now_s += after_s
        return await self.reconciler.run_cycle()

    async def holds(self, node_id: str, *, renewals: int = 1) -> None:
        """The node is in a term and has been granted all it was assigned."""
        await self.store.execute(
            sql("INSERT INTO lease (node_id, held, renewals, ttl_ms, margin_ms)"
                " VALUES (%(id)s, true, 1, 6000, 1000) ON CONFLICT (node_id) DO UPDATE"
                " SET held = true, renewals = lease.renewals + %(renewals)s"),
            id=node_id, renewals=renewals,
        )  # fmt: skip
        await self.store.execute(
            sql("UPDATE assignment SET epoch = l.epoch FROM lease l"
                " WHERE l.node_id = assignment.node_id AND l.node_id = %(id)s"),
            id=node_id,
        )  # fmt: skip

    async def runs(self, node_id: str) -> None:
        """The node runs all that it was assigned."""
        for query in ("forget_running", "record_wanted"):
            await self.store.execute(queries.load("sessions")[query], node_id=node_id)

    async def ages(self, seconds: float) -> None:
        """The inventory has had all nodes for so much longer."""
        await self.store.execute(
            sql("UPDATE node SET added_at = added_at - make_interval(secs => %(s)s)"), s=seconds
        )

    async def places(self) -> dict[str, list[str]]:
        rows = await self.store.fetch_all(
            sql("SELECT node_id, array_agg(egress_id ORDER BY egress_id) AS egresses"
                " FROM assignment GROUP BY node_id ORDER BY node_id")
        )  # fmt: skip
        return {row["node_id"]: row["egresses"] for row in rows}

    async def generation(self, node_id: str) -> int:
        return int(
            await self.store.fetch_value(
                sql("SELECT wanted_generation FROM node WHERE id = %(id)s"), id=node_id
            )
        )


@pytest.fixture
async def scene(store: Store, tmp_path: Path) -> Scene:
    await apply(store, open_sealer(tmp_path), small_inventory(nodes=2))
    return Scene(store)


@pytest.mark.parametrize("closed", ["cordoned", "decommissioned"])
async def test_a_node_closed_after_the_plan_was_made_gets_nothing(
    scene: Scene, closed: str
) -> None:
    await scene.store.execute(sql(f"UPDATE node SET {closed} = true WHERE id = 'n1'"))
    egress_ids = [
        row["id"] for row in await scene.store.fetch_all(sql("SELECT id FROM egress ORDER BY id"))
    ]
    assigned = await scene.store.fetch_all(
        queries.load("shards")["assign"],
        egress_ids=egress_ids[:2],
        node_ids=["n1", "n2"],
    )
    assert [(row["egress_id"], row["node_id"]) for row in assigned] == [(egress_ids[1], "n2")]


async def test_new_nodes_get_their_share_before_they_connect(scene: Scene) -> None:
    assert await scene.cycle() == "moved 4 egresses"
    assert {id: len(egresses) for id, egresses in (await scene.places()).items()} == {
        "n1": 2,
        "n2": 2,
    }
    assert await scene.generation("n1") == 2
    assert await scene.cycle() == "everything is where it should be"
    assert await scene.generation("n1") == 2


async def test_a_node_that_never_connects_loses_its_share_after_a_while(scene: Scene) -> None:
    await scene.cycle()
    await scene.holds("n1")
    await scene.ages(59)
    await scene.cycle()
    assert len((await scene.places())["n2"]) == 2
    # n1 renews, n2 never came.
    await scene.ages(2)
    await scene.cycle()
    assert await scene.places() == {"n1": ["px1", "px2", "px3", "px4"]}


async def test_a_term_nobody_renews_ends_and_its_egresses_go_elsewhere(scene: Scene) -> None:
    await scene.cycle()
    await scene.holds("n1")
    await scene.holds("n2")
    await scene.cycle()
    await scene.holds("n1")
    assert await scene.cycle(6.9) == "everything is where it should be"
    await scene.holds("n1")
    assert await scene.cycle(0.2) == "ended the term of n2, moved 2 egresses"
    assert set(await scene.places()) == {"n1"}
    row = await scene.store.fetch_one(sql("SELECT epoch, held FROM lease WHERE node_id = 'n2'"))
    assert row == {"epoch": 2, "held": False}
    (entry,) = await scene.store.fetch_all(
        sql("SELECT subject, evidence FROM audit WHERE action = 'end-term'")
    )
    assert entry["subject"] == "node/n2"
    assert len(entry["evidence"]["freed"]) == 2


async def test_a_renewal_between_look_and_end_wins(scene: Scene) -> None:
    await scene.cycle()
    await scene.holds("n1")
    await scene.holds("n2")
    await scene.cycle()
    (over,) = scene.reconciler._watcher._observer.look([], read_from_s=0, read_until_s=0) or [None]
    assert over is None
    # As if n2 renewed right after the look: the count is another one when the term should end.
    ended = await scene.store.execute(
        sql("UPDATE lease SET epoch = epoch + 1 WHERE node_id = 'n2' AND renewals = 99")
    )
    assert ended == 0


async def test_what_is_granted_is_asked_back_and_placed_when_it_is_free(scene: Scene) -> None:
    await scene.cycle()
    await scene.holds("n1")
    await scene.holds("n2")
    before = (await scene.places())["n1"]
    await scene.store.execute(sql("UPDATE node SET decommissioned = true WHERE id = 'n1'"))
    await scene.cycle()
    assert (await scene.places())["n1"] == before
    rows = await scene.store.fetch_all(
        sql("SELECT DISTINCT state FROM assignment WHERE node_id = 'n1'")
    )
    assert rows == [{"state": "releasing"}]
    await scene.store.execute(sql("DELETE FROM assignment WHERE state = 'releasing'"))
    await scene.cycle()
    assert set(await scene.places()) == {"n2"}


async def test_what_was_never_granted_is_taken_back_without_asking(scene: Scene) -> None:
    await scene.cycle()
    await scene.store.execute(sql("UPDATE node SET decommissioned = true WHERE id = 'n1'"))
    await scene.cycle()
    await scene.cycle()
    assert set(await scene.places()) == {"n2"}


async def test_a_node_gets_back_what_it_gave_back_only_in_a_later_term(scene: Scene) -> None:
    await scene.cycle()
    await scene.holds("n1")
    await scene.store.execute(
        sql("DELETE FROM assignment WHERE node_id = 'n1' AND egress_id = 'px1'"
            " OR egress_id = 'px3'")
    )  # fmt: skip
    await scene.store.execute(
        sql("INSERT INTO given_back (node_id, egress_id, epoch)"
            " SELECT n, e, 1 FROM unnest('{n1,n2}'::text[]) n, unnest('{px1,px3}'::text[]) e")
    )  # fmt: skip
    await scene.cycle()
    row = await scene.store.fetch_one(sql("SELECT epoch, held FROM lease WHERE node_id = 'n1'"))
    assert row == {"epoch": 2, "held": True}


async def test_what_fits_nowhere_is_said_once_with_the_missing_capacity(
    store: Store, tmp_path: Path
) -> None:
    await apply(store, open_sealer(tmp_path), small_inventory(nodes=1, capacity=5))
    scene = Scene(store)
    assert await scene.cycle() == "moved 2 egresses, 2 egresses fit nowhere"
    assert await scene.cycle() == "2 egresses fit nowhere"
    (entry,) = await store.fetch_all(
        sql("SELECT reason, evidence FROM audit WHERE action = 'leave-out-egresses'")
    )
    assert entry["reason"] == "3 mailboxes of capacity are missing"
    assert len(entry["evidence"]["egresses"]) == 2


async def test_when_room_is_short_the_client_of_higher_priority_keeps_its_place(
    store: Store, tmp_path: Path
) -> None:
    inventory = small_inventory(nodes=1, capacity=2)
    (client,) = inventory.clients
    first = client.model_copy(update={"priority": 7})
    other = client.model_copy(update={"id": "zeta", "priority": 8})
    inventory = inventory.model_copy(update={"clients": (first, other)})
    await apply(store, open_sealer(tmp_path), inventory)
    scene = Scene(store)
    await scene.cycle()
    assert await scene.places() == {"n1": ["px1"]}
    # The place was not granted yet, so it is free at once.
    await store.execute(sql("UPDATE egress SET client_id = 'zeta' WHERE id = 'px4'"))
    await scene.cycle()
    await scene.cycle()
    assert await scene.places() == {"n1": ["px4"]}


async def test_no_more_moves_than_the_limit_are_under_way_whoever_leads(
    store: Store, tmp_path: Path
) -> None:
    inventory = small_inventory(nodes=2, egresses=6, moves_in_flight=2)
    await apply(store, open_sealer(tmp_path), inventory)
    scene = Scene(store)
    await scene.cycle()
    await scene.holds("n1")
    await scene.holds("n2")
    await store.execute(sql("UPDATE node SET draining = true, cordoned = true WHERE id = 'n1'"))
    assert await scene.cycle() == "moved 2 egresses, 2 are under way and 1 wait"
    # Another controller is elected: it has seen nothing and finds both under way.
    assert await Scene(store).cycle() == "2 are under way and 1 wait"
    await store.execute(sql("DELETE FROM assignment WHERE state = 'releasing'"))
    assert await Scene(store).cycle() == "moved 2 egresses, 2 are under way and 1 wait"
    await scene.holds("n2")
    assert await Scene(store).cycle() == "2 are under way and 1 wait"
    await scene.runs("n2")
    assert await Scene(store).cycle() == "moved 1 egresses, 1 are under way and 0 wait"


async def test_a_rebalance_ends_by_itself_when_the_load_is_even(
    store: Store, tmp_path: Path
) -> None:
    await apply(store, open_sealer(tmp_path), small_inventory(nodes=1, egresses=6))
    scene = Scene(store)
    await scene.cycle()
    await scene.holds("n1")
    await apply(store, open_sealer(tmp_path), small_inventory(nodes=2, egresses=6))
    await scene.holds("n2")
    assert await scene.cycle() == "everything is where it should be"
    await store.execute(
        sql("INSERT INTO rebalance (actor, reason, max_in_flight) VALUES ('operator/x', '', 1)")
    )
    for _ in range(20):
        await scene.cycle()
        assert await store.fetch_value(sql("SELECT count(*) FROM shard_move")) <= 1
        await store.execute(sql("DELETE FROM assignment WHERE state = 'releasing'"))
        await scene.cycle()
        await scene.holds("n2")
        await scene.runs("n2")
    assert {id: len(egresses) for id, egresses in (await scene.places()).items()} == {
        "n1": 4,
        "n2": 2,
    }
    (entry,) = await store.fetch_all(sql("SELECT * FROM audit WHERE action = 'end-rebalance'"))
    assert entry["evidence"]["ordered_by"] == "operator/x"
    assert await store.fetch_value(sql("SELECT count(*) FROM rebalance")) == 0


async def test_nothing_is_read_while_nothing_changes(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    await scene.cycle()
    await scene.holds("n1")
    await scene.holds("n2")
    await scene.cycle()
    await scene.cycle()
    readings = 0

    async def counted(tx: Transaction) -> FleetNow:
        nonlocal readings
        readings += 1
        return await read_fleet_now(tx)

    monkeypatch.setattr("controller.loops.reconcile.read_fleet_now", counted)
    for _ in range(5):
        await scene.holds("n1")
        await scene.holds("n2")
        assert await scene.cycle(1) == "everything is where it should be"
    assert readings == 0
    await scene.store.execute(sql("UPDATE node SET draining = true WHERE id = 'n1'"))
    assert "moved 2 egresses" in await scene.cycle(1)
    # What it did is a change itself; then there is silence again.
    await scene.cycle(1)
    assert readings == 2
    await scene.cycle(1)
    assert readings == 2
    await scene.holds("n2")
    await scene.cycle(40)
    assert readings == 3
