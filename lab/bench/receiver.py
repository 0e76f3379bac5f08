"""A receiver for single messages: smtp-sink without an end."""

from __future__ import annotations

from lab.bench.ground import RECEIVER, Ground
from lab.bench.roots import Root
from lab.network_namespace import Process

# For messages that are timed one by one; port 25 belongs to the sink of the throughput rows.
TIMED_PORT = 587


def start(ground: Ground, root: Root, port: int = TIMED_PORT) -> Process:
    """Start it and wait until it listens."""
    endpoint = f"{RECEIVER}:{port}"
    argv = ["/usr/sbin/smtp-sink", "-4", "-u", "postfix", "-m", "2000", endpoint, "1024"]
    process = ground.namespace.popen(root.command(*argv), log="smtp-sink-timed")
    ground.wait_listening(endpoint)
    return process
