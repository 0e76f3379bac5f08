"""The units on real nodes: how exposed systemd finds them, that it reads them; queue commands."""

from __future__ import annotations

import pytest
from postfleet.v1 import local_pb2

from tests.apply.prepared_node import PreparedNode
from tests.apply.specs import good_spec

pytestmark = [pytest.mark.root, pytest.mark.lab, pytest.mark.timeout(900)]

# `systemd-analyze security`, 0 (locked in) to 10; apply is root and writes configuration.
EXPOSURE = {
    "postfleet-agent.service": 1.5,
    "postfleet-gateway.service": 1.5,
    "postfleet-apply@1.service": 2.5,
    "postfleet-boot.service": 1.5,
    "postfleet-net.service": 1.6,
    "opendkim.service": 1.0,
}


@pytest.mark.parametrize(("unit", "most"), EXPOSURE.items(), ids=list(EXPOSURE))
def test_a_unit_is_exposed_no_more_than_it_must_be(
    unit: str, most: float, node: PreparedNode
) -> None:
    line = node.run(f"systemd-analyze security --no-pager {unit} | tail -n 1")
    assert float(line.partition(": ")[2].split()[0]) <= most, line


def test_debians_postfix_is_as_sandboxed_on_12_as_on_13(node: PreparedNode) -> None:
    unit = "postfix@-.service" if node.release == "bookworm" else "postfix.service"
    line = node.run(f"systemd-analyze security --no-pager {unit} | tail -n 1")
    assert float(line.partition(": ")[2].split()[0]) <= 4.5, line


def test_systemd_understands_every_line(node: PreparedNode) -> None:
    node.run("systemctl daemon-reload")
    said = node.run("journalctl -b -o cat --no-pager _PID=1").splitlines()
    complaints = [
        line
        for line in said
        if any(word in line for word in ("Unknown", "Failed to parse", "ignoring", "Invalid"))
        and any(name in line for name in ("postfleet", "opendkim", "postfix", "nftables"))
    ]
    assert complaints == []


def test_messages_are_held_released_and_deleted_by_their_ids(node: PreparedNode) -> None:
    with node.gateway() as gateway:
        status = gateway.status()
    assert node.apply(good_spec(max(1, status.config_generation))).stage == ""
    node.lease(status.epoch + 1, [])
    node.empty_queue()
    ids = [
        node.submit("m1-0@acme.test", f"x{n}@[192.0.2.1]", b"From: <m1-0@acme.test>\r\n\r\nx\r\n")
        for n in range(2)
    ]
    first, second = (reply.rpartition(" ")[2] for _, reply in ids)
    node.wait_for_log(first, "status=deferred")
    node.wait_for_log(second, "status=deferred")

    def ask(action: local_pb2.QueueAction, *queue_ids: str) -> str:
        command = local_pb2.QueueCommand(action=action, queue_ids=queue_ids)
        reply = node.ask(local_pb2.ApplyRequest(queue=command))
        assert reply.running_generation > 0
        return reply.stage

    def places() -> dict[object, object]:
        return {entry["queue_id"]: entry["queue_name"] for entry in node.queue()}

    assert ask(local_pb2.QUEUE_ACTION_HOLD, first) == ""
    assert places()[first] == "hold"
    assert places()[second] != "hold"
    assert ask(local_pb2.QUEUE_ACTION_UNHOLD, first) == ""
    assert places()[first] != "hold"
    assert ask(local_pb2.QUEUE_ACTION_DELETE_HELD, first) == ""
    assert first in places(), "it was not on hold"
    assert ask(local_pb2.QUEUE_ACTION_DELETE, first) == ""
    assert set(places()) == {second}
    assert ask(local_pb2.QUEUE_ACTION_DELETE, first) == "", "gone already is as wished"
    assert ask(local_pb2.QUEUE_ACTION_DELETE, "ALL") == "validate"
    assert set(places()) == {second}
    node.empty_queue()


def test_a_queue_command_does_not_wait_for_a_spec_that_is_being_applied(
    node: PreparedNode,
) -> None:
    node.run_good_spec()
    node.empty_queue()
    _, reply = node.submit(
        "m1-0@acme.test", "x@[192.0.2.1]", b"From: <m1-0@acme.test>\r\n\r\nx\r\n"
    )
    queue_id = reply.rpartition(" ")[2]
    node.wait_for_log(queue_id, "status=deferred")
    lock = "flock /etc/postfleet/apply.lock sleep 600"
    pid = node.run(f"setsid {lock} >/dev/null 2>&1 & echo $!").strip()
    try:
        for action, place in (
            (local_pb2.QUEUE_ACTION_HOLD_WAITING, ["hold"]),
            (local_pb2.QUEUE_ACTION_DELETE_HELD, []),
        ):
            command = local_pb2.QueueCommand(action=action, queue_ids=[queue_id])
            # It would come to its end with the lock, and this to its own after 300 s.
            assert node.ask(local_pb2.ApplyRequest(queue=command)).stage == ""
            assert [entry["queue_name"] for entry in node.queue()] == place
        assert node.run("flock -n /etc/postfleet/apply.lock true || echo held").strip() == "held"
    finally:
        node.run(f"kill -- -{pid} || kill {pid}", check=False)
