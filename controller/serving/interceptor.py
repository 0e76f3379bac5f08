"""Lets callers in by kind, for every method of every service, before the method begins.

Who may call what stands in `controller.keys.authorisation`. A refusal is PERMISSION_DENIED and is
written to the audit log, once a minute for one caller and method.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
import structlog
from prometheus_client import Counter

from controller.audit import Pace, write_audit
from controller.keys.authorisation import is_allowed
from controller.keys.errors import UnknownIdentityError
from controller.keys.identity import peer_identity
from controller.metrics import REGISTRY
from controller.store import Store
from controller.store.errors import StoreError

_log = structlog.get_logger(__name__)

REFUSED_CALLS = Counter(
    "postfleet_controller_calls_refused_total",
    "Calls by callers who may not call the service, by kind of caller (or unknown).",
    ["kind"],
    registry=REGISTRY,
)


class Authorise(grpc.aio.ServerInterceptor):
    """Wraps each handler with the check."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._pace = Pace()

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """The handler, guarded; None for unknown methods (gRPC answers UNIMPLEMENTED)."""
        handler = await continuation(handler_call_details)
        return None if handler is None else self._guarded(handler, handler_call_details.method)

    def _guarded(self, handler: Any, method: str) -> Any:
        name = ("stream" if handler.request_streaming else "unary") + (
            "_stream" if handler.response_streaming else "_unary"
        )
        inner = getattr(handler, name)

        async def call(request: Any, context: Any) -> Any:
            await self._check(context, method)
            return await inner(request, context)

        async def iterate(request: Any, context: Any) -> AsyncIterator[Any]:
            await self._check(context, method)
            async for response in inner(request, context):
                yield response

        make = getattr(grpc, f"{name}_rpc_method_handler")
        return make(
            iterate if inspect.isasyncgenfunction(inner) else call,
            request_deserializer=handler.request_deserializer,
            response_serializer=handler.response_serializer,
        )

    async def _check(self, context: Any, method: str) -> None:
        try:
            identity = peer_identity(context)
        except UnknownIdentityError as error:
            await self._refuse(context, "unknown", context.peer(), method, str(error))
            return
        if not is_allowed(identity, method):
            reason = f"a caller of kind {identity.kind} may not call {method}"
            await self._refuse(context, str(identity.kind), identity.actor, method, reason)

    async def _refuse(self, context: Any, kind: str, actor: str, method: str, reason: str) -> None:
        REFUSED_CALLS.labels(kind).inc()
        _log.warning("call refused", actor=actor, method=method, why=reason)
        if self._pace.is_due(actor, method):
            try:
                await write_audit(
                    self._store,
                    actor=actor,
                    action="refuse-call",
                    subject=f"rpc{method}",
                    reason=reason,
                    evidence={"peer": context.peer()},
                )
            except StoreError as error:
                _log.error("refusal not audited", actor=actor, method=method, why=str(error))
        await context.abort(grpc.StatusCode.PERMISSION_DENIED, reason)
