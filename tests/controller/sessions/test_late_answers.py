"""What an earlier session says of mail is not believed once another one speaks for the node."""

from __future__ import annotations

from pathlib import Path

from postfleet.v1 import node_pb2

from controller.keys.identity import Identity, Kind
from controller.keys.sealing import open_sealer
from controller.sessions.dispatch_answers import record_dispatch_result
from controller.sessions.session import NodeSession
from controller.store import Store
from tests.controller.sessions.scene import submit
from tests.controller.small_fleet import apply, small_inventory, sql


def _session(session_id: str) -> NodeSession:
    return NodeSession(Identity(Kind.NODE, "n1", b""), session_id, "boot", "spool", 0)


async def _rows(store: Store) -> list[tuple[str, bool]]:
    rows = await store.fetch_all(sql("SELECT state, stored FROM message ORDER BY id"))
    return [(row["state"], row["stored"]) for row in rows]


async def test_a_late_answer_changes_nothing_and_that_of_the_present_session_does(
    store: Store, tmp_path: Path
) -> None:
    await apply(store, open_sealer(tmp_path), small_inventory())
    first, second = sorted(await submit(store, 2))
    await store.execute(
        sql("UPDATE message SET state = 'dispatched', node_id = 'n1', epoch = 3, stored = false")
    )
    await store.execute(
        sql("INSERT INTO lease (node_id, session_id, held) VALUES ('n1', 'present', true)")
    )
    answer = node_pb2.DispatchResult(
        stored=[first],
        refused=[node_pb2.RefusedMessage(message_id=second, code="stale-epoch", detail="")],
    )
    await record_dispatch_result(store, _session("earlier"), answer)
    assert await _rows(store) == [("dispatched", False), ("dispatched", False)]
    await record_dispatch_result(store, _session("present"), answer)
    assert await _rows(store) == [("dispatched", True), ("scheduled", False)]
