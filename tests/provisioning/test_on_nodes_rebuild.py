"""A node dies and is rebuilt, on real machines: in its place, and on another VPS."""

from __future__ import annotations

import shlex
import signal
import sys
import time
from pathlib import Path

import grpc
import pytest
from postfleet.v1 import fleet_pb2, node_pb2, node_pb2_grpc

from inventory.secrets import public_key
from lab.errors import NodeError
from lab.node import Node
from tests.provisioning.conftest import ROOT, Fleet

pytestmark = [pytest.mark.lab, pytest.mark.root, pytest.mark.timeout(1200)]


def identity_of(node: Node) -> tuple[bytes, bytes]:
    """Its key and certificate, as somebody who kept a copy of the disk has them."""
    texts = [node.run(f"cat /etc/postfleet/tls/node.{end}").stdout for end in ("key", "pem")]
    return texts[0].encode(), texts[1].encode()


def session_refusal(fleet: Fleet, node_id: str, identity: tuple[bytes, bytes]) -> str:
    """What the controller says to a session with this certificate."""
    ca = (fleet.credentials / "ca.pem").read_bytes()
    credentials = grpc.ssl_channel_credentials(ca, *identity)
    hello = node_pb2.Hello(node_id=node_id, boot_id="b", spool_id="s", agent_version="0")
    with grpc.secure_channel(fleet.controller, credentials) as channel:
        answers = node_pb2_grpc.NodeServiceStub(channel).Session(
            iter([node_pb2.NodeMessage(hello=hello)]), timeout=20
        )
        with pytest.raises(grpc.RpcError) as refused:
            list(answers)
    assert refused.value.code() == grpc.StatusCode.PERMISSION_DENIED
    return str(refused.value.details())


def runs(node: Node, name: str) -> bool:
    try:
        return node.run(f"pgrep {name}", check=False).returncode == 0
    except NodeError:
        return False  # off, or being switched on


@pytest.fixture
def hook(fleet: Fleet, tmp_path: Path) -> Path:
    """A provider whose fresh machines have a user `ops` with sudo, and note each reinstallation."""
    lab = f"{shlex.quote(sys.executable)} -m lab"
    key = fleet.lab.ssh_key.with_suffix(".pub").read_text().strip()
    user = (
        "useradd -m -s /bin/sh ops; install -d -o ops -m 700 ~ops/.ssh; "
        f"echo {key} > ~ops/.ssh/authorized_keys; chown ops ~ops/.ssh/authorized_keys; "
        "echo 'ops ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/ops; rm -f /root/.ssh/authorized_keys"
    )
    script = tmp_path / "reinstall"
    script.write_text(
        f"#!/bin/sh -e\ncd {ROOT}\n{lab} reinstall --name tprov $NODE\n"
        f"{lab} console --name tprov $NODE sh -c {shlex.quote(user)}\n"
        f"echo $NODE $HOST >> {tmp_path}/reinstalled\n"
    )
    script.chmod(0o755)
    return script


def audited(fleet: Fleet, node_id: str) -> list[str]:
    request = fleet_pb2.ListAuditRequest(subject=f"node/{node_id}")
    return [entry.action for entry in fleet.stub().ListAudit(request).entries]


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["--node", "n1"], 1, "n1: alive, and may be sending"),
        (["--node", "n1", "--yes", "--replace-with", "{n2}"], 1, "{n2} is the address of n2"),
        (["--node", "n1", "--yes", "--replace-with", "{n3}"], 1, "shows another ssh host key"),
        (
            ["--node", "n1", "--yes", "--replace-with", "{nobody}", "--wait-minutes", "1"],
            1,
            "does not answer as it should",
        ),
        (["--all-failed"], 0, "no node of the inventory is lost"),
        (["--node", "n1", "--dry-run"], 0, "would be rebuilt; asks first"),
    ],
)
def test_what_cannot_or_need_not_be_done_is_said_and_changes_nothing(
    provisioned: Fleet, words: list[str], status: int, said: str
) -> None:
    addresses = {node.id: str(node.address) for node in provisioned.lab.nodes.values()}
    addresses["nobody"] = addresses["n3"].rpartition(".")[0] + ".77"
    before = provisioned.node("n1").epoch, audited(provisioned, "n1")
    done = provisioned.fab("rebuild", *(word.format(**addresses) for word in words))
    assert done.returncode == status, done.stdout
    assert said.format(**addresses) in done.stdout
    assert (provisioned.node("n1").epoch, audited(provisioned, "n1")) == before


def test_a_dead_node_is_rebuilt_by_a_user_with_sudo_also_when_interrupted(
    provisioned: Fleet, hook: Path
) -> None:
    fleet, node = provisioned, provisioned.lab.nodes["n1"]
    old, old_key = identity_of(node), node.host_key
    inventory = fleet.folder / "inventory.yaml"
    text = inventory.read_text()
    assert "- id: n1\n" in text
    inventory.write_text(text.replace("- id: n1\n", "- id: n1\n    ssh_user: ops\n", 1))
    node.kill()
    words = ("rebuild", "--node", "n1", "--reinstall", str(hook), "--yes")

    process = fleet.start_fab(*words)
    deadline = time.monotonic() + 180
    while not runs(node, "apt-get"):
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=300)[0]
    assert process.returncode == 1, said
    assert "n1 stays cordoned: it gets no egress, others send for it" in said
    assert fleet.node("n1").cordoned

    done = fleet.fab(*words)
    print(done.stdout)  # the phases with their times
    assert done.returncode == 0, done.stdout
    assert "was done" in done.stdout
    assert (hook.parent / "reinstalled").read_text() == f"n1 {node.address}\n"
    pinned = (fleet.folder / "host-keys" / "n1").read_text()
    assert public_key(pinned) == node.host_key != old_key
    assert node.run("ls /root/.ssh/authorized_keys", check=False).returncode != 0
    assert not fleet.node("n1").cordoned
    assert fleet.node("n1").state == "connected"
    assert fleet.node("n1").egresses > 0
    assert "was replaced" in session_refusal(fleet, "n1", old)
    assert fleet.fab("check", "--node", "n1").returncode == 0


def test_a_dead_node_moves_to_another_machine_and_the_inventory_is_the_operators(
    provisioned: Fleet,
) -> None:
    fleet, spare = provisioned, provisioned.lab.nodes["n3"]
    old = identity_of(fleet.lab.nodes["n2"])
    fleet.lab.nodes["n2"].kill()
    before = (fleet.folder / "inventory.yaml").read_text()
    where = ("--replace-with", str(spare.address), "--host-key", spare.host_key)
    done = fleet.fab("rebuild", "--node", "n2", *where, "--yes")
    print(done.stdout)
    assert done.returncode == 1, done.stdout
    assert "done, and your turn" in done.stdout
    assert (fleet.folder / "inventory.yaml").read_text() == before
    wrong, right = f"address: {fleet.lab.nodes['n2'].address}", f"address: {spare.address}"
    assert f"write `{right}` instead of `{wrong}`" in done.stdout
    assert wrong in before
    assert "it sends for" in done.stdout
    assert fleet.node("n2").state == "connected"
    assert "was replaced" in session_refusal(fleet, "n2", old)

    # the machine comes back with its old disk: it is nobody any more
    fleet.lab.nodes["n2"].boot()
    (fleet.folder / "inventory.yaml").write_text(before.replace(wrong, right))
    fleet.apply_inventory()
    assert fleet.fab("check", "--node", "n2").returncode == 0
    assert fleet.node("n2").state == "connected"
