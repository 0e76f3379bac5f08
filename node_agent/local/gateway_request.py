"""Builds the requests of the gateway's control socket and reads its replies. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from google.protobuf.message import DecodeError
from postfleet.v1 import local_pb2

from node_agent.local.errors import Malformed, Refused


def lease_request(
    epoch: int, trusted_until_ns: int, expires_at_ns: int, egress_ids: Iterable[str]
) -> local_pb2.GatewayRequest:
    """Replace the lease. Times are CLOCK_BOOTTIME nanoseconds, trusted_until <= expires_at."""
    return local_pb2.GatewayRequest(
        lease=local_pb2.GatewayLease(
            epoch=epoch,
            trusted_until_ns=trusted_until_ns,
            expires_at_ns=expires_at_ns,
            egress_ids=sorted(egress_ids),
        )
    )


def suspensions_request(reasons: Mapping[str, str]) -> local_pb2.GatewayRequest:
    """Replace the whole list of suspended egresses; `reasons` maps egress id to reason."""
    return local_pb2.GatewayRequest(
        suspensions=local_pb2.GatewaySuspensions(
            suspensions=[
                local_pb2.GatewaySuspension(egress_id=egress_id, reason=reason)
                for egress_id, reason in sorted(reasons.items())
            ]
        )
    )


def close_request(egress_ids: Iterable[str]) -> local_pb2.GatewayRequest:
    """Open nothing more for these egresses; running transactions may end."""
    return local_pb2.GatewayRequest(close=local_pb2.GatewayClose(egress_ids=sorted(egress_ids)))


def status_request() -> local_pb2.GatewayRequest:
    """Change nothing; tell the state."""
    return local_pb2.GatewayRequest(status=local_pb2.GatewayStatusRequest())


def at_risk_request(since_ns: int) -> local_pb2.GatewayRequest:
    """Which egresses had a connection open at `since_ns` (CLOCK_BOOTTIME) or later?"""
    return local_pb2.GatewayRequest(at_risk=local_pb2.GatewayAtRiskRequest(since_ns=since_ns))


def read_reply(message: bytes, what: str) -> local_pb2.GatewayStatus:
    """Return the status in one reply to `what` (a word for messages: "lease", "close", …).

    Raises Refused with the gateway's words, Malformed when it is no GatewayReply.
    """
    return read_whole_reply(message, what).status


def read_whole_reply(message: bytes, what: str) -> local_pb2.GatewayReply:
    """The same for a request that is answered by more than the status."""
    try:
        reply = local_pb2.GatewayReply.FromString(message)
    except DecodeError as error:
        raise Malformed(f"the gateway's answer to {what} is no GatewayReply") from error
    if reply.error:
        raise Refused(f"the gateway refused {what}: {reply.error}", reply.status)
    return reply
