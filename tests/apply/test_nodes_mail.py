"""Mail through real Postfix and gateway: signed, byte for byte, from its egress, or kept.

The receiver is a recording sink on the host; egresses leave from the node's own address, so no
proxy stands between.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator

import dkim
import pytest
from cryptography.hazmat.primitives import serialization
from postfleet.v1 import spec_pb2

from tests.apply.prepared_node import PreparedNode, eventually
from tests.apply.recording_sink import RecordingSink
from tests.apply.specs import good_spec, rsa_pem

pytestmark = [pytest.mark.root, pytest.mark.lab, pytest.mark.timeout(900)]

TOKEN = "0123456789abcdefghijklmnop"
SENDER = f"m1-0+{TOKEN}@acme.test"
HEADER = (
    "From: Ünï Cödé <m1-0@acme.test>\r\n"
    "To: someone@receiver.test\r\n"
    "Subject: Grüße, 漢字\r\n"
    "Message-ID: <1@acme.test>\r\n"
    "Date: Sat, 21 Nov 2026 12:00:00 +0000\r\n"
    "List-Unsubscribe: <https://u.acme.test/1>\r\n"
    "List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"
    "Feedback-ID: a:b:c:d\r\n"
    f"X-Long: {'y' * 900}\r\n"
    "MIME-Version: 1.0\r\n"
    "Content-Type: text/plain; charset=utf-8\r\n"
    "Content-Transfer-Encoding: 8bit\r\n"
    "\r\n"
).encode()
BODY = b"\r\n".join(
    [
        *(
            b"Hello",
            b".",
            b"..",
            b"...dots",
            b"x" * 998,
            "Grüße äöü 漢字".encode(),
            bytes([0xE4, 0xF6]),
        ),
        *(b"space at the end ", b"\ttab\t", b"From here", b"=20 =C3", b"", b"", b"the end", b""),
    ]
)


def _spec(node: PreparedNode, generation: int) -> spec_pb2.NodeSpec:
    spec = good_spec(generation)
    for egress in spec.egresses:
        egress.address.address = str(node.node.address)
    spec.mail.minimal_backoff_s = 2
    spec.mail.maximal_backoff_s = 4
    spec.gateway.allow_target_nets[:] = ["10.0.0.0/8"]
    return spec


@pytest.fixture
def sending(node: PreparedNode) -> PreparedNode:
    """A node that runs two egresses and holds the lease for them."""
    with node.gateway() as gateway:
        status = gateway.status()
    generation = max(1, status.config_generation)
    reply = node.apply(_spec(node, generation))
    assert (reply.stage, reply.error) == ("", "")
    node.lease(max(1, status.epoch), ["px001", "px002"])
    node.empty_queue()
    return node


@pytest.fixture
def sink(sending: PreparedNode) -> Iterator[RecordingSink]:
    with RecordingSink(sending.outside) as sink:
        yield sink


def _received(sink: RecordingSink, node: PreparedNode, count: int = 1) -> None:
    eventually(lambda: len(sink.messages) >= count, lambda: "\n".join(node.log()[-8:]), 60)


def _key() -> bytes:
    key = serialization.load_pem_private_key(rsa_pem().encode(), None)
    der = key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return b"v=DKIM1; k=rsa; p=" + base64.b64encode(der)


def _signed(content: bytes) -> bool:
    return bool(dkim.verify(content, dnsfunc=lambda name, timeout=5: _key()))


@pytest.mark.parametrize("eightbit", [True, False])
def test_every_octet_arrives_and_the_signature_holds(
    eightbit: bool, sending: PreparedNode, sink: RecordingSink
) -> None:
    sink.eightbit = eightbit
    code, reply = sending.submit(SENDER, f"take@[{sending.outside}]", HEADER + BODY)
    assert code == 250, reply
    _received(sink, sending)
    sender, _, content = sink.messages[0]
    assert f"<{SENDER}>" in sender
    head, _, body = content.partition(b"\r\n\r\n")
    assert body == BODY
    assert content.endswith(HEADER + BODY)
    assert _signed(content)
    signed = re.search(rb";\s+h=([^;]+);", head)
    assert signed is not None
    fields = b"".join(signed[1].split()).split(b":")
    assert {b"List-Unsubscribe", b"List-Unsubscribe-Post", b"Feedback-ID", b"From"} <= set(fields)


def test_each_sender_leaves_by_its_own_egress_even_on_kept_connections(
    sending: PreparedNode, sink: RecordingSink
) -> None:
    for number in range(6):
        mailbox = f"m{1 + number % 2}-{number // 3}@acme.test"
        assert sending.submit(mailbox, f"take@[{sending.outside}]", HEADER + BODY)[0] == 250
    _received(sink, sending, 6)
    for session in sink.sessions:
        for sender, _, _ in session.messages:
            egress = "px001" if "<m1-" in sender else "px002"
            assert session.ehlo == f"{egress}.acme.test"


def test_a_refused_message_bounces_in_the_log_and_its_notice_goes_nowhere(
    sending: PreparedNode, sink: RecordingSink
) -> None:
    lines = len(sending.log())
    sending.submit(SENDER, f"refuse@[{sending.outside}]", HEADER + BODY)
    bounced = sending.wait_for_log("status=bounced", since=lines)
    assert "550 5.1.1 no such user here" in bounced
    notice = sending.wait_for_log("sender non-delivery notification", since=lines).split()[-1]
    sending.wait_for_log("discard[", f" {notice}: to=<{SENDER}>", since=lines)
    eventually(lambda: sending.queue() == [], lambda: str(sending.queue()))
    assert not [m for m in sink.messages if "<>" in m[0]]


def test_a_deferred_message_is_tried_again_on_the_same_egress(
    sending: PreparedNode, sink: RecordingSink
) -> None:
    lines = len(sending.log())
    sending.submit(SENDER, f"later@[{sending.outside}]", HEADER + BODY)
    sending.wait_for_log("status=deferred", "451 4.7.1 greylisted", since=lines)
    eventually(lambda: len(sink.sessions) >= 2, lambda: "\n".join(sending.log()[-5:]), 60)
    assert {session.ehlo for session in sink.sessions} == {"px001.acme.test"}


def test_a_lost_final_reply_is_not_tried_at_another_address_at_once(
    sending: PreparedNode, sink: RecordingSink
) -> None:
    lines = len(sending.log())
    _, reply = sending.submit(SENDER, f"vanish@[{sending.outside}]", HEADER + BODY)
    queue_id = reply.rpartition(" ")[2]
    line = sending.wait_for_log(queue_id, "status=deferred", since=lines)
    assert "message may be sent more than once" in line
    assert len(sink.messages) == 1


def test_a_sender_that_is_not_here_is_put_off_not_refused(sending: PreparedNode) -> None:
    for sender in ("stranger@acme.test", "m1-0@other.test", "<>"):
        code, reply = sending.submit(sender, f"take@[{sending.outside}]", HEADER + BODY)
        assert code == 450, reply


def test_no_mail_is_delivered_on_the_node(sending: PreparedNode) -> None:
    for recipient in ("root@[127.0.0.1]", "root"):
        assert 500 <= sending.submit(SENDER, recipient, HEADER + BODY)[0] < 600


def test_mail_of_a_mailbox_that_left_waits_and_never_bounces(
    sending: PreparedNode, sink: RecordingSink
) -> None:
    sending.run("systemctl stop postfleet-gateway.socket postfleet-gateway")
    sending.submit("m2-0@acme.test", f"take@[{sending.outside}]", HEADER + BODY)
    sending.run("systemctl start postfleet-gateway.socket postfleet-gateway")
    with sending.gateway() as gateway:
        generation = gateway.status().config_generation
    spec = _spec(sending, generation + 1)
    del spec.egresses[1]
    lines = len(sending.log())
    assert sending.apply(spec).stage == ""
    sending.run("postqueue -f")
    line = sending.wait_for_log("postfleet: no egress for this sender", since=lines)
    assert "status=deferred" in line
    assert len(sending.queue()) == 1
    assert sink.messages == []


def test_a_dead_gateway_lets_nothing_out_and_loses_nothing(
    sending: PreparedNode, sink: RecordingSink
) -> None:
    sending.run("systemctl stop postfleet-gateway.socket postfleet-gateway")
    try:
        lines = len(sending.log())
        assert sending.submit(SENDER, f"take@[{sending.outside}]", HEADER + BODY)[0] == 250
        assert "status=deferred" in sending.wait_for_log(" to=<take@", since=lines)
        assert sink.sessions == []
    finally:
        sending.run("systemctl start postfleet-gateway.socket postfleet-gateway")
    sending.lease(1, ["px001", "px002"])
    sending.run("postqueue -f")
    _received(sink, sending)


def test_without_a_lease_mail_waits_with_the_reason_in_the_log(
    sending: PreparedNode, sink: RecordingSink
) -> None:
    with sending.gateway() as gateway:
        gateway.lease(gateway.status().epoch, 1, 2, [])
    lines = len(sending.log())
    sending.submit(SENDER, f"take@[{sending.outside}]", HEADER + BODY)
    assert "421 4.3.2 postfleet: px001 lease" in sending.wait_for_log(" to=<take@", since=lines)
    assert sink.sessions == []


def test_a_dead_signer_puts_the_message_off(sending: PreparedNode) -> None:
    sending.run("systemctl stop opendkim")
    try:
        code, reply = sending.submit(SENDER, f"take@[{sending.outside}]", HEADER + BODY)
    finally:
        sending.run("systemctl start opendkim")
    assert code == 451, reply
    assert sending.queue() == []


def test_the_agent_sees_queue_and_log_without_privileges(sending: PreparedNode) -> None:
    seen = sending.run(
        "systemd-run -q --pipe --wait -p User=postfleet-agent -p NoNewPrivileges=yes "
        "-p SupplementaryGroups=postdrop -p ProtectSystem=strict -p CapabilityBoundingSet= "
        "sh -c 'postqueue -j && tail -n 1 /var/log/postfleet/mail.log'"
    )
    assert "postfix/" in seen


def test_the_log_is_rotated_without_losing_its_reader(
    sending: PreparedNode, sink: RecordingSink
) -> None:
    sending.run("rm -f /var/log/postfleet/mail.log.*; logrotate -f /etc/logrotate.d/postfleet")
    assert sending.submit(SENDER, f"take@[{sending.outside}]", HEADER + BODY)[0] == 250
    sending.wait_for_log("status=sent")
    listing = sending.run("stat -c '%a %U %G %n' /var/log/postfleet/mail.log*").splitlines()
    assert [line.rpartition(" ")[0] for line in listing] == ["640 root postfleet-agent"] * 2
