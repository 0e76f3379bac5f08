"""Messages and a specification as a controller sends them."""

from __future__ import annotations

from google.protobuf.timestamp_pb2 import Timestamp
from postfleet.v1 import node_pb2, spec_pb2


def message_id(number: int) -> str:
    """A message id that tells its number."""
    return f"{number:026d}"


def dispatched(
    number: int, recipient: str, epoch: int = 1, delay_s: float = 0, content: bytes = b""
) -> node_pb2.DispatchedMessage:
    """A message of info@a.test for egress px001."""
    not_before = Timestamp()
    not_before.GetCurrentTime()
    not_before.FromMilliseconds(not_before.ToMilliseconds() + int(delay_s * 1000))
    body = b"From: info@a.test\r\nTo: x@b.test\r\nSubject: %d\r\n\r\nhello\r\n.dot\r\n" % number
    return node_pb2.DispatchedMessage(
        message_id=message_id(number),
        mailbox="info@a.test",
        recipient=recipient,
        egress_id="px001",
        epoch=epoch,
        not_before=not_before,
        content=content or body,
    )


SPEC = spec_pb2.NodeSpec(
    generation=1,
    node_id="n1",
    hostname="box.test",
    mail=spec_pb2.MailSettings(minimal_backoff_s=300, maximal_backoff_s=4000),
    egresses=[
        spec_pb2.Egress(
            id="px001",
            surrogate_address="198.18.0.1",
            helo_name="px001.test",
            public_ip="192.0.2.1",
            address=spec_pb2.AddressExit(address="127.0.0.1"),
            mailboxes=["info@a.test"],
            max_concurrency=5,
            client_id="acme",
        )
    ],
)
