"""What can go wrong between two processes of one node."""

from __future__ import annotations

from postfleet.v1 import local_pb2


class LocalError(Exception):
    """A request to another process of this node did not succeed."""


class Unreachable(LocalError):
    """The other process is not there, broke off, or did not answer in time.

    Retry later. What the request asked for may or may not have been done; every request of
    local.proto may be repeated.
    """


class Malformed(LocalError):
    """The other side sent what is no message of local.proto. Do not retry: the versions differ."""


class Refused(LocalError):
    """The gateway understood the request and said no. `status` is its state, unchanged by it."""

    def __init__(self, message: str, status: local_pb2.GatewayStatus) -> None:
        super().__init__(message)
        self.status = status
