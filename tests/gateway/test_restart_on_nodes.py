"""A restart of the gateway on real Debian 12 and 13 (systemd 252 and 257) cuts no transaction."""

from __future__ import annotations

import hashlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.lab import Lab
from lab.node import Node
from lab.settings import LabSettings
from node_agent.gateway.clock import boottime_ns
from node_agent.local.gateway_blocking import BlockingGatewayClient
from provisioning import wheelhouse
from tests.gateway.door import DEADLINE_S, eventually, read_all, read_to_cut
from tests.gateway.world import CHECKOUT, PROXY, RECEIVER, RULES, World

pytestmark = [
    pytest.mark.lab,
    # The lab's machines outlive the handles of the processes that started them, on purpose.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
UNITS = CHECKOUT / "provisioning/units"
INSTALL = """
umask 022
mkdir -p /opt/postfleet /etc/postfleet/gateway
tar -xf /root/bundle.tar -C /root
python3 -m venv --without-pip /opt/postfleet/test
/opt/postfleet/test/bin/python -I /root/{pip}/pip --disable-pip-version-check -q install \
    --no-index --find-links /root --require-hashes --no-deps -r /root/requirements.txt
ln -sfn test /opt/postfleet/current
systemd-sysusers
systemctl daemon-reload
systemctl start postfleet-gateway.socket postfleet-gateway.service
"""
EGRESSES: tuple[dict[str, Any], ...] = (
    {"id": "e1", "surrogate_address": "198.18.0.1", "address": RECEIVER},
    {"id": "e2", "surrogate_address": "198.18.0.2", "socks5": {"host": PROXY, "port": 1080}},
)


class NodeWorld(World):
    """The world inside a node of the lab; the gateway runs under the node's systemd."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.name = str(node.namespace.name)
        self.control = node.root / "run/postfleet-gateway/control.sock"

    def install(self, bundle: wheelhouse.Bundle) -> None:
        root = self.node.root
        (root / "root/bundle.tar").write_bytes(bundle.path.read_bytes())
        for unit in ("postfleet-gateway.service", "postfleet-gateway.socket"):
            (root / "etc/systemd/system" / unit).write_text((UNITS / unit).read_text())
        sysusers = (UNITS / "postfleet.sysusers.conf").read_text()
        (root / "etc/sysusers.d").mkdir(exist_ok=True)
        (root / "etc/sysusers.d/postfleet.conf").write_text(sysusers)
        config = root / "etc/postfleet/gateway/egresses.json"
        config.parent.mkdir(parents=True, exist_ok=True)
        allowed = ["203.0.113.0/24"]
        config.write_text(
            json.dumps({"version": 1, "egresses": EGRESSES, "allow_target_nets": allowed})
        )
        self.run("ip", "route", "replace", "local", "198.18.0.0/15", "dev", "lo")
        for address in (RECEIVER, PROXY):
            self.run("ip", "address", "replace", f"{address}/32", "dev", "lo")
        self.run("nft", "-f", "-", stdin=RULES)
        self.node.run(INSTALL.format(pip=bundle.pip_wheel), timeout_s=300)

    def agent(self) -> BlockingGatewayClient:
        """The control socket, as the node sees it: /run is mounted inside the node only."""
        leader = self.node.leader()
        assert leader is not None
        path = Path(f"/proc/{leader[0]}/root/run/postfleet-gateway/control.sock")
        return BlockingGatewayClient(path)

    def main_pid(self) -> str:
        shown = self.node.run("systemctl show -P MainPID postfleet-gateway.service").stdout
        return shown.strip()

    def restart(self) -> None:
        before = self.main_pid()
        self.node.run("systemctl restart postfleet-gateway.service")
        assert self.main_pid() != before

    def open_connections(self) -> int:
        with self.agent() as agent:
            return sum(egress.open_connections for egress in agent.status().egresses)


@pytest.fixture(scope="module")
def worlds() -> Iterator[dict[str, NodeWorld]]:
    bundles = wheelhouse.build()
    Lab.remove("gwrestart")
    with Lab.up(LabSettings(name="gwrestart", nodes=2)) as lab:
        made = {}
        for node in lab.nodes.values():
            made[node.release] = NodeWorld(node)
            made[node.release].install(bundles["12" if node.release == "bookworm" else "13"])
        yield made


@pytest.fixture(params=["bookworm", "trixie"])
def world(worlds: dict[str, NodeWorld], request: pytest.FixtureRequest) -> NodeWorld:
    one = worlds[request.param]
    with one.agent() as agent:
        epoch = agent.status().epoch + 1
    one.lease("e1", "e2", epoch=epoch)
    return one


def accept(listener: socket.socket) -> socket.socket:
    sock, _ = listener.accept()
    sock.settimeout(DEADLINE_S)
    return sock


def test_open_connections_live_through_restarts_with_every_octet_in_order(world: NodeWorld):
    payload = hashlib.sha256(b"seed").digest() * 100_000
    with world.listener() as listener, world.client() as client, accept(listener) as server:
        server.sendall(b"354 go on\r\n")
        assert client.recv(100) == b"354 go on\r\n"
        sender = threading.Thread(target=client.sendall, args=(payload,))
        sender.start()
        time.sleep(0.3)  # all buffers on the way are full now, the gateway's own too
        for _ in range(3):
            world.restart()
        got = b""
        while len(got) < len(payload):
            chunk = server.recv(1 << 20)
            assert chunk, f"cut after {len(got)} of {len(payload)} octets"
            got += chunk
            if len(got) < 500_000:
                time.sleep(0.01)
        sender.join()
        assert got == payload
        world.restart()
        server.sendall(b"250 queued\r\n")
        assert client.recv(100) == b"250 queued\r\n"
        client.shutdown(socket.SHUT_WR)
        assert read_all(server) == b""
        world.restart()
        server.sendall(b"221 bye\r\n")
        server.shutdown(socket.SHUT_WR)
        assert read_all(client) == b"221 bye\r\n"
    eventually(lambda: world.open_connections() == 0, "nobody, systemd neither, holds it open")


def test_the_lease_comes_along_and_no_longer_than_it_was(world: NodeWorld):
    with world.agent() as agent:
        epoch = agent.status().epoch
    expires_at_ns = world.lease("e1", trusted_s=12, ttl_s=20, epoch=epoch)
    with world.listener() as listener, world.client() as client, accept(listener) as server:
        world.restart()
        with world.agent() as agent:
            assert agent.status().epoch == epoch
        with world.client() as second, accept(listener) as second_server:
            second_server.sendall(b"220 mx\r\n")
            assert second.recv(100) == b"220 mx\r\n"
            assert read_to_cut(client) == b""
            with pytest.raises(ConnectionResetError):
                read_all(server)
        assert boottime_ns() < expires_at_ns


def test_closed_and_suspended_stay_so(world: NodeWorld):
    with world.agent() as agent:
        agent.close_egresses(["e1"])
        agent.suspend({"e2": "proxy-auth"})
    world.restart()
    with world.client() as client:
        assert b"e1 lease: closed" in read_all(client)
    with world.client("198.18.0.2") as client:
        assert b"e2 suspended: proxy-auth" in read_all(client)
    with world.agent() as agent:
        agent.suspend({})


def test_a_connection_that_waits_for_its_proxy_begins_again(world: NodeWorld):
    with world.listener(PROXY, 1080) as proxy, world.client("198.18.0.2") as client:
        with accept(proxy) as stuck:
            assert stuck.recv(100).startswith(b"\x05\x01\x00")
            world.restart()
        with accept(proxy) as server:
            assert server.recv(100).startswith(b"\x05\x01\x00")
            server.sendall(b"\x05\x00\x05\x00\x00\x01" + bytes(6) + b"220 mx\r\n")
            assert client.recv(100) == b"220 mx\r\n"


def test_who_connects_during_the_restart_waits_and_is_served(world: NodeWorld):
    stop, refused, served = threading.Event(), [], []

    def knock() -> None:
        while not stop.is_set():
            try:
                with world.client() as client:
                    served.append(client.recv(100))
            except OSError as error:
                refused.append(error)

    with world.listener() as listener:
        listener.settimeout(0.2)

        def greet() -> None:
            while not stop.is_set():
                try:
                    sock, _ = listener.accept()
                except TimeoutError:
                    continue
                with sock:
                    sock.sendall(b"220 mx\r\n")

        threads = [threading.Thread(target=call) for call in (knock, greet)]
        for thread in threads:
            thread.start()
        for _ in range(3):
            world.restart()
        time.sleep(0.2)
        stop.set()
        for thread in threads:
            thread.join()
    assert refused == []
    # The knocker that was under way when the receiver stopped may hear nothing.
    assert set(served[:-1]) == {b"220 mx\r\n"}


def test_many_connections_are_handed_over(world: NodeWorld):
    with world.listener() as listener:
        pairs = [(world.client(), accept(listener)) for _ in range(300)]
        world.restart()
        for number, (client, server) in enumerate(pairs):
            client.sendall(b"%d\r\n" % number)
            assert server.recv(100) == b"%d\r\n" % number
        for client, server in pairs:
            client.close()
            server.close()
    eventually(lambda: world.open_connections() == 0, "all are gone")


def test_a_gateway_that_is_killed_after_a_restart_leaves_nothing_to_resume(world: NodeWorld):
    with world.listener() as listener, world.client() as client, accept(listener) as server:
        world.restart()
        client.sendall(b"EHLO x\r\n")
        assert server.recv(100) == b"EHLO x\r\n"
        before = world.main_pid()
        world.node.run(f"kill -9 {before}")
        assert read_to_cut(client) == b""
        with pytest.raises(ConnectionResetError):
            read_all(server)
        eventually(lambda: world.main_pid() not in ("0", before), "systemd starts another")
        eventually(lambda: _answers(world), "it answers")
        with world.client() as refused:
            assert b"e1 lease: this node holds no lease" in read_all(refused)


def _answers(world: NodeWorld) -> bool:
    with world.agent() as agent:
        return agent.status().epoch == 0
