"""Lets the errors of a gRPC method become its status; see `controller.fleet.status`."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import structlog
from grpc import aio

from controller.fleet.status import KNOWN, status_of
from controller.store.errors import StoreError

_log = structlog.get_logger(__name__)
Service = TypeVar("Service")
Request = TypeVar("Request")
Reply = TypeVar("Reply")
Context = aio.ServicerContext[Any, Any]


def answering(
    method: Callable[[Service, Request, Context], Awaitable[Reply]],
) -> Callable[[Service, Request, Context], Awaitable[Reply]]:
    """Wraps a unary method of a service."""

    @functools.wraps(method)
    async def answer(self: Service, request: Request, context: Context) -> Reply:
        try:
            return await method(self, request, context)
        except KNOWN as error:
            if isinstance(error, StoreError):
                _log.error("call failed", method=method.__name__, why=str(error))
            await context.abort_with_status(status_of(error))
            raise AssertionError("unreachable") from error

    return answer
