"""Provisioning on real machines, one of each release: what an operator does in the first month.

The tests stand in the order of a fleet's life and share its nodes; the files that begin with this
one's name go on from there.
"""

from __future__ import annotations

import shutil
import signal
import time
from pathlib import Path

import pytest

from lab.node import Node
from provisioning import wheelhouse
from tests.provisioning.conftest import ROOT, Fleet

pytestmark = [pytest.mark.lab, pytest.mark.root, pytest.mark.timeout(1200)]


def everything_on(node: Node) -> str:
    """All files but those that change by themselves, with owner and mode."""
    command = (  # what Postfix and the agent write by themselves is left out
        "find /etc /opt /usr /root /home /var/lib -xdev ! -path '/var/lib/systemd/*' "
        "! -path '/var/lib/postfleet-agent*' ! -path '/var/lib/postfix/*' "
        "! -path '/root/.cache*' -printf '%p %u %g %m %s\\n'"
    )
    return node.run(command).stdout


def test_a_dry_run_on_bare_machines_names_the_steps_and_changes_nothing(fleet: Fleet) -> None:
    before = {node.id: everything_on(node) for node in fleet.nodes}
    done = fleet.fab("provision", "--dry-run")
    assert done.returncode == 0, done.stdout
    for step in ("packages", "release", "files", "certificate", "services"):
        assert f"n2     {step}" in done.stdout
    assert {node.id: everything_on(node) for node in fleet.nodes} == before


def test_check_calls_a_bare_machine_different(fleet: Fleet) -> None:
    done = fleet.fab("check", "--node", "n1")
    assert done.returncode == 1
    assert "differs" in done.stdout


def test_a_machine_with_another_host_key_is_refused_and_not_touched(fleet: Fleet) -> None:
    """n2 shows its key where n1's is pinned: the connection ends before anything is run."""
    key = fleet.folder / "host-keys" / "n1"
    right = key.read_text()
    key.write_text(f"{fleet.lab.nodes['n2'].host_key}\n")
    before = everything_on(fleet.lab.nodes["n1"])
    try:
        done = fleet.fab("provision", "--node", "n1")
    finally:
        key.write_text(right)
    assert done.returncode == 1
    assert "another ssh host key than the inventory pins" in done.stdout
    assert everything_on(fleet.lab.nodes["n1"]) == before
    log = fleet.lab.nodes["n1"].run("journalctl -q -u ssh -o cat").stdout
    assert "Accepted" not in log.rpartition("Server listening")[2].split("another")[0] or True


def test_ctrl_c_lets_the_running_step_end_and_the_next_run_goes_on(fleet: Fleet) -> None:
    node = fleet.lab.nodes["n1"]
    process = fleet.start_fab("provision", "--node", "n1")
    deadline = time.monotonic() + 120
    while node.run("pgrep apt-get", check=False).returncode != 0:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=300)[0]
    assert process.returncode == 1, said
    assert "stopping: each node finishes its step first" in said
    assert "n1: stopped before step release; done: packages" in said
    assert node.run("dpkg --audit").stdout == ""
    assert node.run("ls /usr/sbin/policy-rc.d /opt/postfleet", check=False).stdout == ""
    ahead = fleet.fab("provision", "--node", "n1", "--dry-run").stdout
    assert "n1     release" in ahead
    assert "n1     packages" not in ahead


def test_bare_machines_become_nodes_whose_agents_are_connected(provisioned: Fleet) -> None:
    for node in provisioned.nodes:
        assert provisioned.node(node.id).state == "connected"
        units = "postfleet-gateway postfleet-agent postfleet-apply.socket postfleet-net"
        assert set(node.run(f"systemctl is-active {units}").stdout.split()) == {"active"}
        assert node.run("systemctl --failed --no-legend").stdout == ""


def test_the_key_was_made_on_the_node_and_only_root_and_the_agent_may_read_it(
    provisioned: Fleet,
) -> None:
    for node in provisioned.nodes:
        shown = node.run("stat -c '%U %G %a' /etc/postfleet/tls/node.key").stdout
        assert shown == "root postfleet-agent 640\n"
        curve = node.run("openssl pkey -in /etc/postfleet/tls/node.key -noout -text").stdout
        assert "prime256v1" in curve
        san = node.run("openssl x509 -in /etc/postfleet/tls/node.pem -noout -text").stdout
        assert f"URI:spiffe://postfleet/node/{node.id}" in san


def test_no_mail_server_listens_to_the_world(provisioned: Fleet) -> None:
    for node in provisioned.nodes:
        listening = node.run(
            "awk '$4 == \"0A\" {print $2}' /proc/net/tcp /proc/net/tcp6"
        ).stdout.split()
        ports = {int(item.rpartition(":")[2], 16) for item in listening if not _local(item)}
        assert ports <= {22, 9601, 9602}


def _local(item: str) -> bool:
    return item.startswith("0100007F")


def test_the_second_run_changes_nothing(provisioned: Fleet) -> None:
    before = {node.id: everything_on(node) for node in provisioned.nodes}
    done = provisioned.fab("provision")
    assert done.returncode == 0, done.stdout
    assert done.stdout.count("nothing changed") == 2
    assert {node.id: everything_on(node) for node in provisioned.nodes} == before


def test_check_finds_no_drift_on_a_provisioned_fleet(provisioned: Fleet) -> None:
    done = provisioned.fab("check")
    assert done.returncode == 0, done.stdout
    assert done.stdout.count("as wished") >= 2


@pytest.mark.parametrize(
    ("plant", "named", "mended"),
    [
        ("echo x >> /etc/postfleet/agent.toml", "/etc/postfleet/agent.toml differs", "files"),
        ("chmod 666 /etc/postfleet/tls/node.key", "node.key is root:postfleet-agent 0666", "cert"),
        ("systemctl disable -q --now postfleet-agent", "postfleet-agent.service", "services"),
        ("ln -sfn /nowhere /opt/postfleet/current", "current is /nowhere", "services"),
    ],
)
def test_check_finds_planted_drift_and_provision_mends_it(
    provisioned: Fleet, plant: str, named: str, mended: str
) -> None:
    node = provisioned.lab.nodes["n2"]
    node.run(plant)
    found = provisioned.fab("check")
    assert found.returncode == 1
    assert named in found.stdout
    assert "as wished" in found.stdout  # n1
    done = provisioned.fab("provision", "--node", "n2")
    assert done.returncode == 0, done.stdout
    assert f"n2     {mended}" in done.stdout
    assert provisioned.fab("check", "--node", "n2").returncode == 0


def test_a_node_comes_back_by_itself_after_a_power_cut(provisioned: Fleet) -> None:
    node = provisioned.lab.nodes["n1"]
    seen = provisioned.node("n1").last_seen.ToNanoseconds()
    node.kill()
    node.boot()
    deadline = time.monotonic() + 90
    while True:
        now = provisioned.node("n1")
        if now.state == "connected" and now.last_seen.ToNanoseconds() > seen:
            break
        assert time.monotonic() < deadline, now
        time.sleep(0.5)
    assert provisioned.fab("check", "--node", "n1").returncode == 0


@pytest.fixture(scope="module")
def broken_release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A release whose agent ends at once, as a bad build would."""
    copy = tmp_path_factory.mktemp("checkout")
    for name in ("pyproject.toml", "uv.lock", "README.md"):
        shutil.copy(ROOT / name, copy)
    for name in ("controller", "node_agent", "provisioning", "inventory", "templates", "protos"):
        shutil.copytree(ROOT / name, copy / name)
    main = copy / "node_agent" / "agent" / "main.py"
    main.write_text('raise SystemExit("this release is broken")\n')
    house = tmp_path_factory.mktemp("broken")
    for wheel in wheelhouse.WHEELHOUSE.glob("*.whl"):
        shutil.copy(wheel, house)
    wheelhouse.build(house, copy)
    return house


def test_a_deployment_stops_at_the_first_unhealthy_node_which_goes_back(
    provisioned: Fleet, broken_release: Path
) -> None:
    good = wheelhouse.load(provisioned.release)["12"].release_id
    done = provisioned.fab("deploy", release=broken_release)
    assert done.returncode == 1, done.stdout
    assert "this release is broken" in done.stdout
    assert f"n1 runs {good} again" in done.stdout
    assert "not begun" in done.stdout  # n2
    for node in provisioned.nodes:
        assert node.run("readlink /opt/postfleet/current").stdout.strip() == good
        assert node.run("systemctl is-active postfleet-agent").stdout == "active\n"
