"""Postfix killed, stopped, and cut off from power in mid-delivery, on real nodes: nobody gets a
message twice, none is lost, and only what may have been sent is put on hold.

The receiver is a sink on the host that takes its time over each final dot. POSTFLEET_KILLS=N: so
many kills on each release.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import shlex
import time
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.apply.prepared_node import PYTHON, PreparedNode, eventually
from tests.apply.recording_sink import RecordingSink
from tests.apply.specs import good_spec

pytestmark = [pytest.mark.root, pytest.mark.lab, pytest.mark.timeout(3000)]

KILLS = int(os.environ.get("POSTFLEET_KILLS", "2"))
EGRESSES = ("px001", "px002", "px003")
# The senders' tokens, unique over all tests of this file.
_numbers = itertools.count(1)
# Hands many messages over in one session; prints the senders that Postfix has accepted.
SUBMIT = """
import json, smtplib, sys
accepted = []
try:
    with smtplib.SMTP("127.0.0.1", 10587, "localhost", timeout=20) as smtp:
        for sender, recipient, octets in json.loads(sys.argv[1]):
            text = f"From: <{sender}>\\r\\nSubject: x\\r\\n\\r\\n"
            text += ("y" * 70 + "\\r\\n") * (octets // 72)
            smtp.sendmail(sender, [recipient], text.encode())
            accepted.append(sender)
except (OSError, smtplib.SMTPException):
    pass
print(json.dumps(accepted))
"""


class Traffic:
    """Mail of one node to one sink, and the account of it."""

    def __init__(self, node: PreparedNode, sink: RecordingSink) -> None:
        self.node = node
        self.sink = sink
        self.accepted: set[str] = set()

    def submit(self, *wanted: tuple[str, str, int]) -> list[str]:
        """Hand over messages: (egress, recipient's local part, octets); the senders accepted."""
        letters = [
            (f"m{int(egress[2:])}-0+{next(_numbers):026}@acme.test", self.at(local), octets)
            for egress, local, octets in wanted
        ]
        words = shlex.join([PYTHON, "-c", SUBMIT, json.dumps(letters)])
        accepted: list[str] = json.loads(self.node.run_as("postfleet-agent", words))
        self.accepted.update(accepted)
        return accepted

    def at(self, local_part: str) -> str:
        return f"{local_part}@[{self.node.outside}]"

    def received(self) -> Counter[str]:
        """How often the final dot of each sender's message came."""
        lines = [sender for sender, _, _ in self.sink.messages]
        return Counter(line.partition("<")[2].partition(">")[0] for line in lines)

    def held(self) -> dict[str, str]:
        """Sender to the guard's reason, of what is on hold."""
        on_hold = [e for e in self.node.queue() if e["queue_name"] == "hold"]
        return {
            str(e["sender"]): self.node.run(f"cat /var/lib/postfleet-guard/held/{e['queue_id']}")
            for e in on_hold
        }

    def waiting(self) -> list[str]:
        """Senders of what Postfix has and may still send."""
        return [str(e["sender"]) for e in self.node.queue() if e["queue_name"] != "hold"]

    def systemctl(self, verb: str) -> None:
        unit = self.unit()
        said = self.node.run(f"systemctl {verb} {unit} || journalctl -n 40 --no-pager -o cat")
        assert said == "", said

    def unit(self) -> str:
        return "postfix@-.service" if self.node.release == "bookworm" else "postfix.service"

    def running(self) -> bool:
        script = "import socket; socket.create_connection(('127.0.0.1', 10587), 5).recv(1)"
        return self.node.run(f'{PYTHON} -c "{script}" 2>/dev/null && echo up', check=False) != ""


@pytest.fixture
def traffic(node: PreparedNode) -> Iterator[Traffic]:
    dice = random.Random(20261125)
    with node.gateway() as gateway:
        spec = good_spec(max(1, gateway.status().config_generation), egresses=3)
    for egress in spec.egresses:
        egress.address.address = str(node.node.address)
    spec.mail.minimal_backoff_s, spec.mail.maximal_backoff_s = 2, 4
    spec.gateway.allow_target_nets[:] = ["10.0.0.0/8"]
    reply = node.apply(spec)
    assert (reply.stage, reply.error) == ("", "")
    lease(node)
    node.empty_queue()
    sink = RecordingSink(node.outside, dawdle=lambda: time.sleep(dice.uniform(0, 1)))
    with sink:
        yield Traffic(node, sink)
    node.run("nft delete table inet test", check=False)
    node.run("postsuper -d ALL", check=False)


def lease(node: PreparedNode) -> None:
    with node.gateway() as gateway:
        epoch = max(1, gateway.status().epoch)
    node.lease(epoch, list(EGRESSES))


def test_only_what_may_have_been_sent_is_held(traffic: Traffic) -> None:
    node = traffic.node
    node.run("nft add table inet test")
    node.run("nft 'add chain inet test out { type filter hook output priority 0; }'")
    node.run("nft add rule inet test out ip daddr 10.250.0.9 drop")
    (stalled,) = traffic.submit(("px001", "stall", 4000))
    (muted,) = traffic.submit(("px003", "mute", 4000))
    eventually(lambda: traffic.received()[stalled] == 1, lambda: "\n".join(node.log()[-5:]))
    eventually(lambda: len(traffic.sink.sessions) == 2, lambda: str(traffic.sink.sessions))
    _, reply = node.submit("m2-0@acme.test", "x@[10.250.0.9]", b"Subject: no way\r\n\r\nx\r\n")
    time.sleep(1)
    assert {e["queue_name"] for e in node.queue()} == {"active"}
    traffic.systemctl("restart")
    eventually(traffic.running, lambda: node.run("journalctl -n 30 --no-pager"))
    assert traffic.held().keys() == {stalled}, traffic.held()
    assert "1 connection was open for egress px001" in traffic.held()[stalled]
    assert {muted, "m2-0@acme.test"} <= set(traffic.waiting()), reply
    eventually(lambda: len(traffic.sink.sessions) >= 3, lambda: "the muted one is tried again")
    assert traffic.received()[stalled] == 1
    # what is released is forgotten at the next run
    node.run("postsuper -d ALL hold 2>/dev/null")
    traffic.systemctl("restart")
    assert node.run("ls /var/lib/postfleet-guard/held") == ""


def test_an_orderly_end_and_a_reload_hold_nothing(traffic: Traffic) -> None:
    node = traffic.node
    senders = traffic.submit(*[(e, "take", 3000) for e in EGRESSES for _ in range(3)])
    node.run("postfix reload")
    eventually(lambda: traffic.received() == Counter(senders), lambda: str(traffic.received()), 60)

    def empty() -> bool:
        # The new qmgr leaves alone what smtp(8) was delivering, until its next look.
        node.run("postqueue -f")
        return node.queue() == []

    eventually(empty, lambda: str(node.queue()))
    for verb in ("restart", "stop", "start"):
        traffic.systemctl(verb)
    eventually(traffic.running, lambda: node.run("journalctl -n 30 --no-pager"))
    assert node.queue() == []


def test_killed_at_any_moment_postfix_sends_nothing_twice(traffic: Traffic) -> None:
    node, dice = traffic.node, random.Random(7)
    for kill in range(KILLS):
        traffic.submit(*[(dice.choice(EGRESSES), "take", 3000) for _ in range(12)])
        time.sleep(dice.uniform(0, 1.5))
        if kill % 2:
            node.run("kill -9 $(head -n 1 /var/spool/postfix/pid/master.pid)", check=False)
        else:
            node.run(f"systemctl kill --signal=KILL --kill-whom=all {traffic.unit()}")
        time.sleep(0.5)
        eventually(traffic.running, lambda: node.run("journalctl -n 40 --no-pager"), 60)
    _everything_is_accounted_for(traffic)


def test_a_power_cut_in_mid_delivery_doubles_nothing(traffic: Traffic) -> None:
    node = traffic.node
    (stalled,) = traffic.submit(("px001", "stall", 4000))
    traffic.submit(*[(e, "take", 3000) for e in EGRESSES[:2] for _ in range(6)])
    eventually(lambda: traffic.received()[stalled] == 1, lambda: str(traffic.received()))
    node.node.kill()
    node.node.boot()
    eventually(traffic.running, lambda: node.run("journalctl -b -n 40 --no-pager"), 90)
    lease(node)
    # Marks stay for a minute, and are set before the connection that the receiver may never see.
    _everything_is_accounted_for(traffic, seen_open=False)
    held = traffic.held()
    assert stalled in held
    assert "a connection of egress px001 may have been open" in held[stalled]


def _everything_is_accounted_for(traffic: Traffic, *, seen_open: bool = True) -> None:
    """Wait until Postfix has nothing to do; each message came once or is on hold with a reason.

    `seen_open`: the receiver saw a connection of each egress that is named as a reason.
    """
    traffic.node.run("postqueue -f")
    eventually(lambda: traffic.waiting() == [], lambda: str(traffic.node.queue()), 90)
    received, held = traffic.received(), traffic.held()
    assert {s: n for s, n in received.items() if n > 1} == {}
    assert traffic.accepted - received.keys() - held.keys() == set()
    open_for = {session.ehlo.partition(".")[0] for session in traffic.sink.sessions}
    for sender, reason in held.items():
        egress = f"px{int(sender[1]):03}"
        assert f"egress {egress}" in reason
        assert egress in open_for or not seen_open
    print(
        f"accepted {len(traffic.accepted)}, received {len(received)}, held {len(held)}, "
        f"of them received {len(received.keys() & held.keys())}"
    )
