"""A real Postfix that uses its open connections again, and a gateway whose egress is closed."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from node_agent.gateway.clock import boottime_ns
from node_agent.local.errors import LocalError
from node_agent.local.gateway_blocking import BlockingGatewayClient
from tests.agent.postfix_box import INTAKE_PORT, PostfixBox
from tests.gateway.world import CHECKOUT, RECEIVER, RULES, S

pytestmark = [pytest.mark.root, pytest.mark.timeout(240)]
MESSAGES = 60
MOST_AT_ONCE = 5


@contextmanager
def process(box: PostfixBox, log: Path, *arguments: str) -> Iterator[None]:
    """A Python program in the box's network."""
    command = ["ip", "netns", "exec", box.namespace, sys.executable, *arguments]
    paths = {**os.environ, "PYTHONPATH": f"{CHECKOUT}:{CHECKOUT}/protos"}
    with log.open("ab") as file:
        started = subprocess.Popen(command, stdout=file, stderr=file, cwd=CHECKOUT, env=paths)
    try:
        yield
    finally:
        started.kill()
        started.wait()


def until(true: Callable[[], bool], what: str, log: Path, deadline_s: float = 90) -> None:
    end_s = time.monotonic() + deadline_s
    while not true():
        assert time.monotonic() < end_s, f"not reached: {what}\n{log.read_text()[-3000:]}"
        time.sleep(0.05)


def test_a_closed_egress_ends_connections_that_postfix_uses_again(tmp_path: Path) -> None:
    # Each message takes the receiver 2 s, so there is always one waiting for a connection.
    records, control, log = tmp_path / "records", tmp_path / "control.sock", tmp_path / "log"
    records.touch()
    config = tmp_path / "egresses.json"
    egress = {"id": "px001", "surrogate_address": "198.18.0.1", "address": RECEIVER}
    config.write_text(
        json.dumps({"version": 1, "generation": 1, "allow_target_nets": ["203.0.113.0/24"],
                    "egresses": [egress]})
    )  # fmt: skip
    limits = (
        f"default_destination_concurrency_limit = {MOST_AT_ONCE}\n"
        f"initial_destination_concurrency = {MOST_AT_ONCE}\n"
        "default_destination_recipient_limit = 50\n"
    )
    gateway = ["-m", "node_agent.gateway.main", "--config", str(config), "--control", str(control),
               "--metrics", "127.0.0.1:9602"]  # fmt: skip
    sink = [
        str(CHECKOUT / "tests/agent/sink.py"),
        f"{RECEIVER}:25",
        str(records),
        str(tmp_path / "no"),
    ]
    with (
        ExitStack() as stack,
        PostfixBox("bookworm", tmp_path, limits) as box,
        process(box, log, *gateway),
    ):
        box.in_namespace("ip", "address", "add", f"{RECEIVER}/32", "dev", "lo")
        with process(box, log, *sink):
            senders = box.root / "etc/postfix/senders"
            senders.write_text(senders.read_text().replace("127.0.0.1]:2525", f"{RECEIVER}]:25"))
            nft = ["ip", "netns", "exec", box.namespace, "nft", "-f", "-"]
            subprocess.run(nft, input=RULES, text=True, check=True)
            box.reload()
            agent = stack.enter_context(_agent(control, log))
            now_ns = boottime_ns()
            agent.lease(1, now_ns + 600 * S, now_ns + 660 * S, ["px001"])

            def open_now() -> int:
                return sum(e.open_connections for e in agent.status().egresses)

            def received() -> int:
                return len(records.read_text().splitlines())

            source = ["smtp-source", "-c", "-m", str(MESSAGES), "-s", "1", "-f", "info@a.test"]
            box.chroot(*source, "-t", "slow-x@b.test", f"127.0.0.1:{INTAKE_PORT}")
            until(
                lambda: "conn_use=2" in box.log.read_text(), "a connection is used again", box.log
            )
            agent.close_egresses(["px001"])
            came = received()
            until(lambda: not open_now(), "no connection is open", box.log)
            ended = received()
            # What ran came to its end, and nothing began on a connection that was open.
            assert ended - came <= 2 * MOST_AT_ONCE
            until(
                lambda: _deferred(box) == MESSAGES - ended,
                "all the rest is deferred",
                box.log,
            )
            assert received() == ended < MESSAGES
            text = box.log.read_text()
            assert "more than once" not in text
            sent = Counter(re.findall(r"smtp\[\d+\]: (\w+): to=<[^>]*>.* status=sent", text))
            assert set(sent.values()) == {1}
            assert len(sent) == ended
            refused = [line for line in text.splitlines() if "status=deferred" in line]
            assert all("px001 lease: closed in epoch 1" in line for line in refused)


def _agent(control: Path, log: Path) -> BlockingGatewayClient:
    def answers() -> bool:
        try:
            with BlockingGatewayClient(control) as client:
                client.status()
        except LocalError:
            return False
        return True

    until(answers, "the gateway answers", log)
    return BlockingGatewayClient(control)


def _deferred(box: PostfixBox) -> int:
    return sum(entry["queue_name"] == "deferred" for entry in box.queue())
