"""A network namespace of the test's own with the real gateway behind nft, for tests as root.

198.18.0.0/15 is local as on a node; proxies and receivers have addresses on lo; no way leads out.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from node_agent.gateway.clock import boottime_ns
from node_agent.local.gateway_blocking import BlockingGatewayClient
from tests.gateway.door import DEADLINE_S, eventually

CHECKOUT = Path(__file__).parents[2]
RECEIVER = "203.0.113.10"
PROXY = "198.51.100.1"
S = 1_000_000_000
RULES = """
table inet test {
    chain out {
        type nat hook output priority -100
        ip saddr 198.18.0.0/15 tcp dport { 25, 465, 587 } redirect to :10025
    }
}
"""
Result = TypeVar("Result")


class World:
    """The namespace, and the gateway process in it once `start` was called."""

    def __init__(self, directory: Path) -> None:
        self.name = f"pfgw{os.getpid()}"
        self.directory = directory
        self.config = directory / "egresses.json"
        self.control = directory / "control.sock"
        self.gateway: subprocess.Popen[bytes] | None = None
        self.log = directory / "gateway.log"

    def __enter__(self) -> World:
        self.run("ip", "netns", "add", self.name, inside=False)
        try:
            self.run("ip", "link", "set", "lo", "up")
            self.run("ip", "route", "add", "local", "198.18.0.0/15", "dev", "lo")
            for address in (RECEIVER, PROXY):
                self.run("ip", "address", "add", f"{address}/32", "dev", "lo")
            self.run("nft", "-f", "-", stdin=RULES)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self.gateway is not None and self.gateway.poll() is None:
            self.gateway.kill()
            self.gateway.wait()
        self.run("ip", "netns", "delete", self.name, inside=False)

    def command(self, *argv: str) -> list[str]:
        return ["nsenter", f"--net=/run/netns/{self.name}", "--", *argv]

    def run(self, *argv: str, stdin: str = "", inside: bool = True) -> str:
        command = self.command(*argv) if inside else list(argv)
        done = subprocess.run(command, input=stdin, text=True, capture_output=True, check=False)
        assert done.returncode == 0, f"{argv}: {done.stderr}"
        return done.stdout

    def inside(self, call: Callable[[], Result]) -> Result:
        """Run `call` in a thread within the namespace: its sockets live there."""
        results: list[Any] = []

        def enter() -> None:
            with Path(f"/run/netns/{self.name}").open() as namespace:
                assert ctypes.CDLL(None).setns(namespace.fileno(), 0x40000000) == 0
            try:
                results.append(call())
            except Exception as error:
                results.append(error)

        thread = threading.Thread(target=enter)
        thread.start()
        thread.join()
        if isinstance(results[0], Exception):
            raise results[0]
        return results[0]

    def client(self, source: str = "198.18.0.1", target: str = RECEIVER) -> socket.socket:
        """Connect from a surrogate address to port 25 of `target`, as a transport does."""
        return self.inside(
            lambda: socket.create_connection((target, 25), DEADLINE_S, source_address=(source, 0))
        )

    def listener(self, address: str = RECEIVER, port: int = 25) -> socket.socket:
        listener = self.inside(lambda: socket.create_server((address, port), backlog=1024))
        listener.settimeout(DEADLINE_S)
        return listener

    def configure(self, *egresses: dict[str, Any], **fields: Any) -> None:
        base = {"version": 1, "generation": 1, "allow_target_nets": ["203.0.113.0/24"]}
        self.config.write_text(json.dumps(base | {"egresses": egresses} | fields))

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start the gateway and wait until its control socket answers."""
        with self.log.open("ab") as log:
            self.gateway = subprocess.Popen(
                self.command(
                    sys.executable, "-m", "node_agent.gateway.main",
                    "--config", str(self.config), "--control", str(self.control),
                    "--metrics", "127.0.0.1:9602", *arguments,
                ),
                stderr=log,
                cwd=CHECKOUT,
            )  # fmt: skip
        eventually(self._answers, f"the gateway answers: {self.log.read_text()}")
        return self.gateway

    def _answers(self) -> bool:
        assert self.gateway is not None
        assert self.gateway.poll() is None, self.log.read_text()
        with contextlib.suppress(Exception), self.agent() as agent:
            agent.status()
            return True
        return False

    def agent(self) -> BlockingGatewayClient:
        return BlockingGatewayClient(self.control)

    def lease(
        self, *egress_ids: str, trusted_s: float = 60, ttl_s: float = 65, epoch: int = 1
    ) -> int:
        """Grant a lease from now; return its expires_at_ns."""
        now = boottime_ns()
        expires_at_ns = now + int(ttl_s * S)
        with self.agent() as agent:
            agent.lease(epoch, now + int(trusted_s * S), expires_at_ns, egress_ids)
        return expires_at_ns

    def signal(self, number: signal.Signals) -> None:
        assert self.gateway is not None
        self.gateway.send_signal(number)


@contextlib.contextmanager
def dante(world: World, password: str) -> Iterator[None]:
    """A real Dante at PROXY with the user `u`."""
    from lab.proxies_config import Account, dante_config, passwd_file, shadow_file, start_script

    folder = world.directory / "dante"
    folder.mkdir()
    hashed = subprocess.run(
        ["openssl", "passwd", "-1", "-stdin"], input=password, text=True, capture_output=True
    ).stdout.strip()
    (folder / "passwd").write_text(passwd_file(["u"]))
    (folder / "shadow").write_text(shadow_file([Account("u", hashed)]))
    (folder / "dante.conf").write_text(dante_config(folder / "log", [PROXY]))
    script = start_script(folder, 1)
    process = subprocess.Popen(
        world.command("unshare", "--mount", "--propagation", "private", "sh", "-c", script),
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )

    def listens() -> bool:
        return f"{PROXY}:1080" in world.run("ss", "-Hltn")

    try:
        eventually(listens, "Dante listens")
        yield
    finally:
        # Its children share its session, which is its own.
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
