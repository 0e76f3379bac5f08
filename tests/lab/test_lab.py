"""A lab comes up bare, keeps to itself, and goes without a trace."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lab.errors import LabError, NetworkError
from lab.lab import Lab
from lab.network import mirror_addresses
from lab.node import Node
from lab.settings import CHECKOUT, LabSettings

pytestmark = [pytest.mark.lab, pytest.mark.root]


def ssh(lab: Lab, node: Node, command: str, host_key: str) -> subprocess.CompletedProcess[str]:
    known = lab.directory / f"known-{node.id}"
    known.write_text(f"{node.address} {host_key}\n")
    options = [f"-oUserKnownHostsFile={known}", "-oStrictHostKeyChecking=yes", "-oBatchMode=yes"]
    argv = ["ssh", *options, "-i", str(lab.ssh_key), f"root@{node.address}", command]
    return subprocess.run(argv, capture_output=True, text=True, timeout=30)


def test_root_gets_in_by_ssh_with_the_labs_key_and_the_nodes_own_host_key(
    lab: Lab, node: Node
) -> None:
    assert ssh(lab, node, "id -u", node.host_key).stdout == "0\n"


def test_no_two_nodes_have_the_same_host_key(lab: Lab) -> None:
    keys = [node.host_key for node in lab.nodes.values()]
    assert len(set(keys)) == len(keys)
    assert ssh(lab, lab.nodes["n1"], "true", keys[1]).returncode != 0


def test_a_node_is_bare(node: Node) -> None:
    installed = node.run("dpkg-query -W -f '${Package}\\n'").stdout.split()
    wanted = {"postfix", "opendkim", "nftables", "chrony", "python3-venv", "python3-grpcio"}
    assert not wanted & set(installed)
    assert node.run("systemctl is-system-running", check=False).stdout == "running\n"


def test_each_node_runs_its_release(lab: Lab) -> None:
    found = [node.run(". /etc/os-release; echo $VERSION_ID").stdout for node in lab.nodes.values()]
    assert found == ["12\n", "13\n"]


def test_nodes_reach_package_mirrors_and_nothing_else_outside(lab: Lab, node: Node) -> None:
    outside = next(iter(mirror_addresses()), None)
    if outside is None:
        pytest.skip("this machine has no way to a package mirror")
    assert connects(node, outside, 80)
    for port in (25, 465, 587, 8080):
        assert not connects(node, outside, port)
    rules = lab.network.router.run(["nft", "list", "chain", "ip", "lab", "forward"]).stdout
    counter = next(line for line in rules.splitlines() if "mail stays" in line)
    assert "packets 0 " not in counter


def connects(node: Node, address: str, port: int) -> bool:
    command = f"timeout 2 bash -c '</dev/tcp/{address}/{port}'"
    return node.run(command, check=False).returncode == 0


def test_nodes_reach_the_controllers_side_and_show_their_own_address(lab: Lab, node: Node) -> None:
    listener = (
        "import socket; s = socket.create_server(('%s', 7999)); c, a = s.accept(); print(a[0])"
    )
    argv = [sys.executable, "-c", listener % lab.controller_address]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 20
    while not connects(node, str(lab.controller_address), 7999):
        assert time.monotonic() < deadline
    assert process.communicate(timeout=10)[0].strip() == str(node.address)


def test_a_part_in_a_namespace_of_its_own_is_reached_by_the_nodes(lab: Lab, node: Node) -> None:
    part = lab.network.attach(f"web{node.id}", addresses=[f"198.51.100.{200 + int(node.id[1])}/32"])
    address = f"198.51.100.{200 + int(node.id[1])}"
    server = part.popen(
        [sys.executable, "-m", "http.server", "--bind", address, "8025"], log="web", cwd=Path("/")
    )
    deadline = time.monotonic() + 20
    while not connects(node, address, 8025):
        assert time.monotonic() < deadline, server.log_tail()
    assert server.alive
    server.stop()
    assert not server.alive


def test_a_part_may_not_take_the_address_of_the_package_mirror(lab: Lab) -> None:
    for address in mirror_addresses():
        with pytest.raises(NetworkError, match="finds its packages"):
            lab.network.attach("taken", addresses=[f"{address}/32"])


def test_a_name_that_is_up_is_refused_with_the_way_out(lab: Lab) -> None:
    with pytest.raises(LabError, match="lab down --name tlab"):
        Lab.up(LabSettings(name="tlab", nodes=1))


def test_another_process_can_take_the_lab_up_where_it_stands(lab: Lab) -> None:
    attached = Lab.attach("tlab")
    assert attached.nodes["n1"].run("hostname").stdout == "n1\n"
    assert attached.controller_address == lab.controller_address


def traces_of(name: str) -> list[str]:
    """Everything on this machine that bears the lab's name."""
    found = [str(p) for p in Path("/run/netns").glob(f"pf-{name}-*")]
    # os.walk passes over the groups that end while it looks; Path.glob stumbles over them.
    for parent, groups, _ in os.walk("/sys/fs/cgroup"):
        found += [f"{parent}/{group}" for group in groups if group.startswith(f"pf-{name}-")]
    found += [
        line for line in Path("/proc/mounts").read_text().splitlines() if f"/.lab/{name}/" in line
    ]
    for cmdline in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = cmdline.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        found += [words] if f"pf-{name}-" in words else []
    return found


def test_the_command_line_shows_labs_also_while_one_comes_up(lab: Lab) -> None:
    """Its state stands before its services do."""
    half = lab.directory.parent / "tlabhalf"
    half.mkdir(exist_ok=True)
    try:
        state = json.loads((lab.directory / "lab.json").read_text())
        (half / "lab.json").write_text(json.dumps({**state, "name": "tlabhalf", "receivers": True}))
        argv = [sys.executable, "-m", "lab", "status"]
        shown = subprocess.run(argv, capture_output=True, text=True)
    finally:
        shutil.rmtree(half)
    assert shown.returncode == 0, shown.stderr
    assert "lab tlabhalf" in shown.stdout


def test_two_labs_stand_side_by_side_and_one_goes_without_the_other(lab: Lab) -> None:
    Lab.remove("tlabtwo")
    with Lab.up(LabSettings(name="tlabtwo", nodes=1)) as second:
        assert second.controller_address != lab.controller_address
        assert second.nodes["n1"].address != lab.nodes["n1"].address
        assert ssh(second, second.nodes["n1"], "hostname", second.nodes["n1"].host_key).stdout
        link = second.network.plan.host_link
    assert traces_of("tlabtwo") == []
    assert not Path("/sys/class/net", link).exists()
    assert Path("/proc/sys/net/ipv4/ip_forward").read_text() == "1\n"
    assert ssh(lab, lab.nodes["n1"], "hostname", lab.nodes["n1"].host_key).stdout == "n1\n"


def another_checkout(tmp_path: Path) -> Path:
    """One with a lab package of its own, whose labs therefore stand elsewhere."""
    shutil.copytree(CHECKOUT / "lab", tmp_path / "lab")
    return tmp_path


def lab_command(checkout: Path, *words: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "lab", *words]
    return subprocess.run(argv, cwd=checkout, capture_output=True, text=True, timeout=120)


def test_a_lab_of_another_checkout_is_seen_left_alone_and_removable(
    lab: Lab, tmp_path: Path
) -> None:
    Lab.remove("tlabother")
    other = another_checkout(tmp_path)
    assert f"another checkout's ({lab.directory})" in lab_command(other, "status").stdout
    refused = lab_command(other, "up", "--name", "tlab", "--nodes", "1")
    assert (refused.returncode, "is up already" in refused.stderr) == (1, True)
    assert str(lab.directory) in refused.stderr
    assert ssh(lab, lab.nodes["n1"], "hostname", lab.nodes["n1"].host_key).stdout == "n1\n"
    assert lab_command(other, "up", "--name", "tlabother", "--nodes", "1").returncode == 0
    assert (other / ".lab" / "tlabother").is_dir()
    Lab.remove("tlabother")
    assert traces_of("tlabother") == []
    assert not (other / ".lab" / "tlabother").exists()


CRASHER = """
import os, signal
from lab.lab import Lab, LabSettings
crash = lambda _: os.kill(os.getpid(), signal.SIGKILL)
Lab.up(LabSettings(name="tlabcrash", nodes=2), booted=crash)
"""


def test_down_removes_every_trace_of_a_lab_whose_maker_was_killed(lab: Lab) -> None:
    Lab.remove("tlabcrash")
    maker = subprocess.run([sys.executable, "-c", CRASHER], capture_output=True, timeout=120)
    assert maker.returncode == -9
    assert traces_of("tlabcrash") != []
    Lab.remove("tlabcrash")
    assert traces_of("tlabcrash") == []
    Lab.remove("tlabcrash")
