"""Each fault, on a real node: it does what it says, and it can be taken back."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from lab import faults_clock, faults_controller
from lab.conntrack import ConntrackWatch
from lab.errors import FaultImpossible, NodeError
from lab.faults_network import Direction, NetworkFaults
from lab.faults_node import fill_disk, free_disk, processes, signal_process, step_clock
from lab.lab import Lab
from lab.node import Node

pytestmark = [pytest.mark.lab, pytest.mark.root]


def pings(node: Node, address: object) -> bool:
    return node.run(f"ping -qn -c2 -i0.2 -W1 {address}", check=False).returncode == 0


def eventually(true: Callable[[], bool], timeout_s: float = 20) -> None:
    deadline = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_power_cut_loses_what_runs_and_keeps_the_disk_and_the_host_key(node: Node) -> None:
    key, boot = node.host_key, node.run("cat /proc/sys/kernel/random/boot_id").stdout
    node.run("echo kept > /root/kept; echo kept > /var/lib/kept; touch /run/lost")
    node.kill()
    assert not node.running
    with pytest.raises(NodeError, match="is off"):
        node.run("true")
    node.boot()
    assert node.run("cat /root/kept /var/lib/kept").stdout == "kept\nkept\n"
    assert node.run("ls /run/lost", check=False).returncode != 0
    assert node.host_key == key
    assert node.run("cat /proc/sys/kernel/random/boot_id").stdout != boot


def test_a_node_comes_up_well_after_many_power_cuts(node: Node) -> None:
    for _ in range(3):
        node.kill()
        node.boot()
    eventually(
        lambda: "starting" not in node.run("systemctl is-system-running", check=False).stdout
    )
    assert node.run("systemctl --failed --no-legend").stdout == ""


def test_power_off_is_orderly(node: Node) -> None:
    node.run("systemd-run --unit=farewell --property=ExecStop='touch /root/farewell' sleep 600")
    node.power_off()
    assert not node.running
    node.boot()
    assert node.run("rm /root/farewell").returncode == 0


def test_a_node_rebuilt_with_a_new_disk_is_another_machine(lab: Lab, node: Node) -> None:
    key = node.host_key
    node.run("touch /root/old")
    node.kill()
    node.remove_disk()
    lab.install(node)
    node.boot()
    assert node.host_key != key
    assert node.run("ls /root/old", check=False).returncode != 0


def test_a_cut_from_the_controller_leaves_other_ways_open(
    lab: Lab, node: Node, faults: NetworkFaults
) -> None:
    other = next(n for n in lab.nodes.values() if n is not node)
    with faults.cut(node.id, "controller"):
        assert not pings(node, lab.controller_address)
        assert pings(node, other.address)
        assert pings(other, lab.controller_address)
    assert pings(node, lab.controller_address)


def test_a_cut_from_everybody_cuts_everybody(lab: Lab, node: Node, faults: NetworkFaults) -> None:
    other = next(n for n in lab.nodes.values() if n is not node)
    faults.cut(node.id)
    assert not pings(node, lab.controller_address)
    assert not pings(node, other.address)
    faults.heal()
    assert pings(node, lab.controller_address)


@pytest.mark.parametrize(("direction", "arrives"), [(Direction.OUT, False), (Direction.IN, True)])
def test_a_one_way_cut_lets_the_other_way_through(
    lab: Lab, node: Node, faults: NetworkFaults, direction: Direction, arrives: bool
) -> None:
    """Whether the node's packets reach the router's far side is read from its counters."""
    counter = (
        "add table inet seen\nadd chain inet seen f { type filter hook forward priority 10; }\n"
        f"add rule inet seen f ip saddr {node.address} ip daddr {lab.controller_address} counter\n"
    )
    lab.network.router.run(["nft", "-f", "-"], stdin=counter)
    try:
        with faults.cut(node.id, "controller", direction):
            assert not pings(node, lab.controller_address)
        rules = lab.network.router.run(["nft", "list", "table", "inet", "seen"]).stdout
        assert ("packets 0 " not in rules) is arrives
    finally:
        lab.network.router.run(["nft", "delete", "table", "inet", "seen"])


def test_lost_packets_are_lost_at_random(lab: Lab, node: Node, faults: NetworkFaults) -> None:
    command = f"ping -qn -c60 -i0.01 -W1 {lab.controller_address}"
    with faults.lose(node.id, "controller", percent=50):
        said = node.run(command, check=False).stdout
    received = int(said.split(" received")[0].split()[-1])
    assert 0 < received < 60


def test_a_fault_that_the_kernel_cannot_make_says_so(node: Node, faults: NetworkFaults) -> None:
    try:
        faults.delay(node.id, 50)
    except FaultImpossible as error:
        said = str(error)
    else:
        said = "this kernel can delay packets"
    faults.full_speed(node.id)
    assert said.startswith(("this kernel cannot delay packets: ", "this kernel can delay"))
    with pytest.raises(FaultImpossible, match="wall clock"):
        step_clock(node, 3600)


def test_a_slow_line_is_slow_until_it_is_mended(
    lab: Lab, node: Node, faults: NetworkFaults
) -> None:
    faults.limit_rate(node.id, 64)
    shown = lab.network.router.run(["tc", "qdisc", "show"]).stdout
    assert "rate 64Kbit" in shown
    assert pings(node, lab.controller_address)
    faults.full_speed(node.id)
    assert "64Kbit" not in lab.network.router.run(["tc", "qdisc", "show"]).stdout


def test_a_process_dies_by_name_on_its_node_only(lab: Lab, node: Node) -> None:
    other = next(n for n in lab.nodes.values() if n is not node)
    for some in (node, other):
        some.run("systemd-run --unit=victim --collect sleep 12345")
    eventually(lambda: all(processes(some, "sleep") for some in (node, other)))
    before = processes(other, "sleep")
    assert signal_process(node, "sleep") == 1
    eventually(lambda: processes(node, "sleep") == [])
    assert processes(other, "sleep") == before != []
    with pytest.raises(NodeError, match="no process sleep"):
        signal_process(node, "sleep")
    other.run("systemctl stop victim")


def test_a_hanging_process_goes_on_when_told_to(node: Node) -> None:
    node.run("systemd-run --unit=ticker --collect sh -c 'while :; do date +%s%N > /run/tick; done'")
    eventually(lambda: node.run("cat /run/tick", check=False).returncode == 0)
    signal_process(node, "sh", signal.SIGSTOP)
    first = node.run("cat /run/tick").stdout
    assert node.run("cat /run/tick").stdout == first
    signal_process(node, "sh", signal.SIGCONT)
    eventually(lambda: node.run("cat /run/tick").stdout != first)
    node.run("systemctl stop ticker")


def test_a_frozen_node_does_nothing_and_goes_on_when_thawed(lab: Lab, node: Node) -> None:
    other = next(n for n in lab.nodes.values() if n is not node)
    assert pings(other, node.address)  # the kernel answers, frozen or not
    assert answers(other, node)
    node.freeze()
    assert node.running
    assert not answers(other, node)
    node.thaw()
    assert answers(other, node)


def answers(asker: Node, node: Node) -> bool:
    """Whether sshd of the node says anything within a second."""
    command = f'exec 3<>/dev/tcp/{node.address}/22; read -t1 -r line <&3; [ -n "$line" ]'
    return asker.run(["bash", "-c", command], check=False).returncode == 0


def test_a_full_disk_refuses_to_write_until_it_is_freed(node: Node) -> None:
    write = "head -c 1000000 /dev/zero > /var/lib/some && sync"
    fill_disk(node)
    assert "No space left" in node.run(write, check=False).stderr
    node.run("echo x > /root/elsewhere")
    free_disk(node)
    assert node.run(write).returncode == 0


def test_a_stepped_clock_is_seen_by_its_process_and_leaves_the_clocks_of_leases_alone(
    tmp_path: Path,
) -> None:
    """The process says its wall clock and CLOCK_BOOTTIME at each line it is sent."""
    script = (
        "import sys, time\n"
        "for _ in sys.stdin:\n"
        "    print(time.time(), time.clock_gettime(time.CLOCK_BOOTTIME), flush=True)\n"
    )
    offset = tmp_path / "offset"
    faults_clock.step(offset, 0)
    env = os.environ | faults_clock.environment(faults_clock.library(), offset)
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=-1, stdout=-1, text=True, env=env
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None

        def clocks() -> tuple[float, float]:
            """How far its clocks are from ours, in seconds."""
            assert process.stdin is not None
            assert process.stdout is not None
            print(file=process.stdin, flush=True)
            wall, boot = (float(word) for word in process.stdout.readline().split())
            return wall - time.time(), boot - time.clock_gettime(time.CLOCK_BOOTTIME)

        for seconds in (0, 3600, -3600):
            faults_clock.step(offset, seconds)
            eventually(lambda seconds=seconds: abs(clocks()[0] - seconds) < 60)
            assert abs(clocks()[1]) < 60
        process.stdin.close()


def test_the_controllers_disk_is_full_until_it_is_freed(lab: Lab) -> None:
    with pytest.raises(FaultImpossible, match="host's disk"):
        faults_controller.fill_disk(lab)
    faults_controller.small_disk(lab, 16)
    some = lab.directory / "controller" / "some"
    faults_controller.fill_disk(lab)
    with pytest.raises(OSError, match="No space left"):
        some.write_bytes(b"x" * 100_000)
    faults_controller.free_disk(lab)
    assert some.write_bytes(b"x" * 100_000) == 100_000


def test_the_end_of_a_connection_is_seen_although_its_last_packets_are_dropped(
    lab: Lab, node: Node, faults: NetworkFaults
) -> None:
    """Port 1080 of the other node stands for a proxy."""
    other = next(n for n in lab.nodes.values() if n is not node)
    witness = ConntrackWatch(lab.network).start()

    def ends() -> int:
        return sum(end.flow.client == str(node.address) for end in witness.ends)

    listen = "import socket, time; s = socket.create_server(('', 1080)); time.sleep(600)"
    other.run(["systemd-run", "--unit=door", "--collect", "python3", "-c", listen])
    call = f"exec 3<>/dev/tcp/{other.address}/1080 && sleep 1"
    try:
        eventually(lambda: node.run(["bash", "-c", call], check=False).returncode == 0)
        eventually(lambda: ends() > 0)
        stay = ["bash", "-c", f"{call} && sleep 600"]
        node.run(["systemd-run", "--unit=caller", "--collect", *stay])
        eventually(lambda: "1080" in node.run("ss -Htn state established").stdout)
        before = ends()
        with faults.cut(node.id):
            node.run("systemctl kill -s KILL caller")
            eventually(lambda: ends() > before)
    finally:
        node.run("systemctl stop caller", check=False)
        other.run("systemctl stop door", check=False)
        witness.stop()
