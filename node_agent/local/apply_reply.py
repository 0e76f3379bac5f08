"""postfleet-apply's answer on the wire, told safely from the silence of an apply that died.

An ApplyReply that says "done" could serialise to no octets at all, which is also what a client
reads when apply was killed. So every reply carries `complete`, the last field on the wire: a reply
that was cut anywhere lacks it. Both sides go through this file.
"""

from __future__ import annotations

from google.protobuf.message import DecodeError
from postfleet.v1 import local_pb2

from node_agent.local.errors import Malformed, Unreachable


def encode_apply_reply(reply: local_pb2.ApplyReply) -> bytes:
    """Return the octets apply writes before it closes the connection. `reply` is not changed."""
    sealed = local_pb2.ApplyReply()
    sealed.CopyFrom(reply)
    sealed.complete = True
    return sealed.SerializeToString(deterministic=True)


def decode_apply_reply(data: bytes) -> local_pb2.ApplyReply:
    """Return the reply made of all octets read until end of file.

    Raises Unreachable when apply ended before its answer was whole (its journal says why; the
    node runs either the old or the new generation), Malformed when it is no ApplyReply.
    """
    if not data:
        raise Unreachable(
            "postfleet-apply ended without an answer; see its journal "
            "(journalctl -u 'postfleet-apply@*'); ask again to learn what the node runs"
        )
    try:
        reply = local_pb2.ApplyReply.FromString(data)
    except DecodeError as error:
        raise Malformed(
            f"postfleet-apply's answer ({len(data)} octets) is no ApplyReply"
        ) from error
    if not reply.complete:
        raise Unreachable(
            f"postfleet-apply ended in the middle of its answer (after {len(data)} octets); "
            "see its journal; ask again to learn what the node runs"
        )
    return reply
