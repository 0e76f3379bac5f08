"""A whole node in one namespace: a real Postfix, the agent as a process, its neighbours, a sink."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from tests.agent.gateway_standin import Gateway
from tests.agent.postfix_box import SINK_PORT, PostfixBox
from tests.agent.samples import message_id
from tests.agent.standins import Apply, Controller
from tests.agent.trust import make_credentials

REPOSITORY = Path(__file__).resolve().parents[2]


class Node:
    """What a test holds in its hands."""

    def __init__(self, place: Path, box: PostfixBox) -> None:
        self.place = place
        self.box = box
        host_side = _wire(box)
        make_credentials(place / "tls", host_side)
        self.controller = Controller(place / "tls", host_side)
        self.gateway = Gateway(place / "gateway.sock")
        self.apply = Apply(place / "apply.sock", box)
        self.spool_directory = place / "spool"
        self.records = place / "records.jsonl"
        self.greeting = place / "greeting"
        self.agent_log = place / "agent.log"
        self._agent: subprocess.Popen[bytes] | None = None
        self._sink: subprocess.Popen[bytes] | None = None
        self.spool_settings = ""
        self.postfix_settings = ""

    async def start(self) -> None:
        self.spool_directory.mkdir(exist_ok=True)
        self.records.touch()
        await self.controller.start()
        await self.gateway.start()
        await self.apply.start()
        self._sink = self._inside(
            str(Path(__file__).with_name("sink.py")),
            str(SINK_PORT),
            str(self.records),
            str(self.greeting),
        )
        self.start_agent()

    async def stop(self) -> None:
        for process in (self._agent, self._sink):
            if process is not None and process.poll() is None:
                process.kill()
                process.wait()
        for part in (self.controller, self.gateway, self.apply):
            await part.stop()

    def start_agent(self) -> None:
        config = self.place / "agent.toml"
        config.write_text(
            f"""\
node_id = "n1"
controller = "{self.controller.endpoint}"
gateway_socket = "{self.place}/gateway.sock"
apply_socket = "{self.place}/apply.sock"
[tls]
key = "{self.place}/tls/node.key"
certificate = "{self.place}/tls/node.pem"
ca = "{self.place}/tls/ca.pem"
[spool]
directory = "{self.spool_directory}"
{self.spool_settings}
[postfix]
log = "{self.box.log}"
postqueue = {json.dumps(self.box.postqueue)}
queue_interval_s = 1.0
{self.postfix_settings}
guard_reports = "{self.place}/held"
"""
        )
        self._agent = self._inside("-m", "node_agent.agent.main", "--config", str(config))

    @property
    def agent_pid(self) -> int:
        assert self._agent is not None
        return self._agent.pid

    def kill_agent(self) -> None:
        """SIGKILL."""
        assert self._agent is not None
        self._agent.kill()
        self._agent.wait()

    async def stop_agent(self) -> int:
        """SIGTERM; return the exit code."""
        assert self._agent is not None
        self._agent.send_signal(signal.SIGTERM)
        return await asyncio.to_thread(self._agent.wait, 30)

    def agent_running(self) -> bool:
        return self._agent is not None and self._agent.poll() is None

    def received(self) -> list[dict[str, str]]:
        """What came to the receiver, in order."""
        return [json.loads(line) for line in self.records.read_text().splitlines()]

    async def until(self, condition: Callable[[], bool], timeout_s: float = 60) -> None:
        """Wait for `condition`."""
        try:
            async with asyncio.timeout(timeout_s):
                while not condition():
                    await asyncio.sleep(0.05)
        except TimeoutError:
            tail = self.agent_log.read_text()[-3000:]
            raise AssertionError(f"not reached in {timeout_s} s; the agent says:\n{tail}") from None

    def _inside(self, *arguments: str) -> subprocess.Popen[bytes]:
        environment = {**os.environ, "PYTHONPATH": f"{REPOSITORY}:{REPOSITORY}/protos"}
        with self.agent_log.open("ab") as log:
            return subprocess.Popen(
                ["ip", "netns", "exec", self.box.namespace, sys.executable, *arguments],
                stdout=log,
                stderr=log,
                env=environment,
                cwd=REPOSITORY,
            )


def _wire(box: PostfixBox) -> str:
    """A veth pair between the host and the box; returns the host's address.

    It goes when the box's namespace goes.
    """
    number = os.getpid() % 16000
    third, fourth = divmod(number * 4, 256)
    net = f"10.9{third // 64}.{third % 64 * 4}"
    host_side, box_side = f"{net}.{fourth + 1}", f"{net}.{fourth + 2}"
    name = f"pfa{os.getpid()}"
    for command in (
        f"ip link add {name} type veth peer name up0 netns {box.namespace}",
        f"ip addr add {host_side}/30 dev {name}",
        f"ip link set {name} up",
    ):
        subprocess.run(command.split(), check=True)
    box.in_namespace("ip", "addr", "add", f"{box_side}/30", "dev", "up0")
    box.in_namespace("ip", "link", "set", "up0", "up")
    return host_side


@contextlib.asynccontextmanager
async def node(place: Path, release: str, extra_main_cf: str = "") -> AsyncIterator[Node]:
    """A running node; everything of it is gone afterwards."""
    with PostfixBox(release, place, extra_main_cf) as box:
        made = Node(place, box)
        try:
            await made.start()
            yield made
        finally:
            await made.stop()


def senders(a_node: Node) -> Counter[str]:
    return Counter(r["sender"] for r in a_node.received())


def once_each(numbers: range) -> Counter[str]:
    return Counter({f"info+{message_id(n)}@a.test": 1 for n in numbers})


def all_end(a_node: Node, numbers: range, kind: str) -> bool:
    return all(a_node.controller.kinds(n)[-1:] == [kind] for n in numbers)
