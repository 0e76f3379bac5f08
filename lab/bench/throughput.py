"""Messages per second from the intake of a mail server to the receiver's last 250.

20 smtp-source processes hand over at the same time, one for each egress; smtp-sink takes all of it
and ends with the last message. Hand-over and delivery run together, as on a node.
"""

from __future__ import annotations

import subprocess
import time
from dataclasses import dataclass

from lab.bench import exim_config, postfix_config, ways
from lab.bench.errors import BenchError
from lab.bench.ground import EGRESSES, RECEIVER, Ground, wait_for
from lab.bench.roots import Root
from lab.network_namespace import Process

MESSAGE_OCTETS = 4096
_TIMEOUT_S = 300.0


@dataclass
class MailServers:
    """Postfix and Exim, both running; Exim's `root` is another one."""

    ground: Ground
    postfix: Root
    exim: Root

    def start(self) -> None:
        """Configure and start both."""
        etc = self.postfix.path / "etc/postfix"
        (etc / "main.cf").write_text(postfix_config.main_cf())
        (etc / "master.cf").write_text(postfix_config.master_cf())
        (etc / "sender_transport").write_text(postfix_config.sender_transport())
        self.postfix.daemon("/usr/sbin/postfix", "start-fg")
        (self.exim.path / "etc/exim4/exim4.conf").write_text(exim_config.config())
        self.exim.daemon("/usr/sbin/exim4", "-bdf", "-q30m")
        self.ground.wait_listening(postfix_config.INTAKE)
        self.ground.wait_listening(exim_config.INTAKE)

    def postfix_rate(self, way: str, messages: int) -> float:
        """Messages per second of Postfix by this way out (lab.bench.ways)."""
        self.ground.namespace.run(["nft", "-f", "-"], stdin=ways.rules(way))
        rate = self._rate(postfix_config.INTAKE, messages)
        self._drain()
        return rate

    def exim_rate(self, messages: int) -> float:
        """Messages per second of Exim through its own SOCKS5 client."""
        self.ground.namespace.run(["nft", "-f", "-"], stdin=ways.rules("direct"))
        return self._rate(exim_config.INTAKE, messages)

    def _rate(self, intake: str, messages: int) -> float:
        each = messages // EGRESSES
        sink = self._sink(each * EGRESSES)
        began = time.monotonic()
        sources = [
            subprocess.Popen(
                self.ground.namespace.command(
                    self.postfix.command(
                        "/usr/sbin/smtp-source", "-4", "-d", "-s", "1", "-m", str(each),
                        "-l", str(MESSAGE_OCTETS), "-f", postfix_config.sender(number),
                        "-t", f"box@[{RECEIVER}]", intake,
                    )
                ),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
            )
            for number in range(1, EGRESSES + 1)
        ]  # fmt: skip
        words = [source.communicate()[1] for source in sources]
        if any(source.returncode for source in sources):
            raise BenchError(f"smtp-source: {' '.join(filter(None, words))[:500]}")
        while sink.alive:
            if time.monotonic() - began > _TIMEOUT_S:
                raise BenchError(f"not all of {messages} messages arrived in {_TIMEOUT_S:g} s")
            time.sleep(0.002)
        return each * EGRESSES / (time.monotonic() - began)

    def _sink(self, messages: int) -> Process:
        endpoint = f"{RECEIVER}:25"
        argv = ["/usr/sbin/smtp-sink", "-4", "-u", "postfix", "-M", str(messages), endpoint, "1024"]
        sink = self.ground.namespace.popen(self.postfix.command(*argv), log="smtp-sink")
        self.ground.wait_listening(endpoint)
        return sink

    def _drain(self) -> None:
        """Begin the next round with an empty queue: the sink may have ended before its last 250."""
        self.postfix.run("/usr/sbin/postsuper", "-d", "ALL", stdin="")
        wait_for(
            lambda: "empty" in self.postfix.run("/usr/bin/mailq"),
            "Postfix's queue is not empty",
            30,
        )
