"""Errors as gRPC statuses, with details a program can read (google.rpc error_details.proto).

A status travels in the trailers, for which there are 8 KiB: long lists are cut, and say so.
"""

from __future__ import annotations

from collections.abc import Sequence

import grpc
from google.protobuf import any_pb2
from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2, status_pb2  # type: ignore[import-untyped]
from grpc_status import rpc_status  # type: ignore[import-untyped]

from controller.fleet.errors import (
    BadRequestError,
    FleetChangedError,
    NotAllowedError,
    NotFoundError,
    RefusedError,
)
from controller.keys.errors import KeysError, RefusedRequestError, UnknownIdentityError
from controller.store.errors import StoreError
from inventory.errors import InventoryError

_MOST_LINES = 10
_MOST_CHARACTERS = 250

KNOWN = (
    BadRequestError,
    FleetChangedError,
    InventoryError,
    KeysError,
    NotAllowedError,
    NotFoundError,
    RefusedError,
    StoreError,
)


def status_of(error: Exception) -> grpc.Status:
    """The status of one of the KNOWN errors."""
    code, words, details = _described(error)
    packed = []
    for detail in details:
        packed.append(any_pb2.Any())
        packed[-1].Pack(detail)
    status: grpc.Status = rpc_status.to_status(
        status_pb2.Status(code=code, message=words, details=packed)
    )
    return status


def _described(error: Exception) -> tuple[int, str, list[Message]]:
    if isinstance(error, InventoryError):
        lines = [str(problem) for problem in error.problems]
        fields = [
            error_details_pb2.BadRequest.FieldViolation(
                field=problem.path, description=problem.message[:_MOST_CHARACTERS]
            )
            for problem in error.problems[:_MOST_LINES]
        ]
        detail = error_details_pb2.BadRequest(field_violations=fields)
        return code_pb2.INVALID_ARGUMENT, _shortened(lines), [detail]
    if isinstance(error, RefusedError):
        failures = [
            error_details_pb2.PreconditionFailure.Violation(
                type="FLEET_STATE", description=reason[:_MOST_CHARACTERS]
            )
            for reason in error.reasons[:_MOST_LINES]
        ]
        precondition = error_details_pb2.PreconditionFailure(violations=failures)
        return code_pb2.FAILED_PRECONDITION, _shortened(error.reasons), [precondition]
    if isinstance(error, StoreError):
        if error.retry:
            words = "the controller's database cannot be reached; nothing was changed, try again"
            return code_pb2.UNAVAILABLE, words, []
        words = "the controller's database refused the request; the controller's log says why"
        return code_pb2.INTERNAL, words, []
    return _code(error), str(error), []


def _code(error: Exception) -> int:
    if isinstance(error, NotFoundError):
        return int(code_pb2.NOT_FOUND)
    if isinstance(error, NotAllowedError):
        return int(code_pb2.PERMISSION_DENIED)
    if isinstance(error, BadRequestError | RefusedRequestError):
        return int(code_pb2.INVALID_ARGUMENT)
    if isinstance(error, FleetChangedError):
        return int(code_pb2.ABORTED)
    if isinstance(error, UnknownIdentityError):
        return int(code_pb2.UNAUTHENTICATED)
    return int(code_pb2.INTERNAL)


def _shortened(lines: Sequence[str]) -> str:
    shown = [line[:_MOST_CHARACTERS] for line in lines[:_MOST_LINES]]
    if len(lines) > _MOST_LINES:
        shown.append(f"… and {len(lines) - _MOST_LINES:,} more")
    return "\n".join(shown)
