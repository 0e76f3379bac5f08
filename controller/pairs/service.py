"""ShapingService: operators look at pairs and release them."""

# ruff: noqa: N802 (names are gRPC's)

from __future__ import annotations

from datetime import UTC
from typing import Any, cast

from grpc import aio
from postfleet.v1 import shaping_pb2, shaping_pb2_grpc

from controller.audit import write_audit
from controller.fleet.answering import answering
from controller.fleet.errors import BadRequestError
from controller.fleet.ordering import reason_given, run_order
from controller.fleet.pages import clean, page_size
from controller.keys.identity import Peer, peer_identity
from controller.shaping.rule import PAIRS
from controller.store import Row, Store, Transaction, queries
from controller.throttle.alone import act_alone
from controller.throttle.follow import keep_slow
from controller.throttle.pace import START_PER_HOUR, starting
from controller.throttle.recovery import SOURCES

_SQL = queries.load("throttle")
Context = aio.ServicerContext[Any, Any]


class ShapingService(shaping_pb2_grpc.ShapingServiceServicer):
    """One for all callers. Method names are those of shaping.proto."""

    def __init__(self, store: Store) -> None:
        self._store = store

    @answering
    async def ListPairs(
        self,
        request: shaping_pb2.ListPairsRequest,
        context: Context,  # noqa: ARG002
    ) -> shaping_pb2.PairList:
        size = page_size(request.page_size)
        scope, _, rest = clean(request.page_token, "page_token").partition("/")
        provider, _, subject = rest.partition("/")
        rows = await self._store.fetch_all(
            _SQL["pairs"],
            provider=clean(request.provider, "provider"),
            after_scope=scope, after_provider=provider, after_subject=subject, limit=size + 1,
        )  # fmt: skip
        shown = rows[:size]
        token = "/".join(shown[-1][key] for key in _KEY) if len(rows) > size else ""
        return shaping_pb2.PairList(pairs=map(_pair, shown), next_page_token=token)

    @answering
    async def ReleasePair(
        self, request: shaping_pb2.ReleasePairRequest, context: Context
    ) -> shaping_pb2.ReleasePairReply:
        if request.scope not in (*PAIRS, *_WHOLE):
            raise BadRequestError(f"scope: {request.scope!r}; {', '.join((*PAIRS, *_WHOLE))}")
        if (request.scope in PAIRS) != bool(request.provider):
            raise BadRequestError("provider: belongs to a pair, and to nothing else")
        pair = {key: clean(getattr(request, key), key) for key in _KEY}
        reason, actor = reason_given(request.reason), peer_identity(cast("Peer", context)).actor

        async def work(tx: Transaction) -> shaping_pb2.ReleasePairReply:
            return await _release(tx, pair, request.at_once, reason, actor)

        return await run_order(self._store, work, request.dry_run)


_KEY = ("scope", "provider", "subject")
_WHOLE = ("egress", "domain", "mailbox")


async def _release(
    tx: Transaction, pair: dict[str, str], at_once: bool, reason: str, actor: str
) -> shaping_pb2.ReleasePairReply:
    subject = "/".join(filter(None, (pair["provider"], pair["subject"])))
    await act_alone(tx)
    was = await tx.fetch_one(_SQL["release"], **pair, stopped=subject, sources=list(SOURCES))
    if not any(was.values()):
        return shaping_pb2.ReleasePairReply(changed=False)
    begins_slowly = pair["scope"] in PAIRS and not at_once
    if begins_slowly:
        slow = starting(None, START_PER_HOUR, await tx.now())
        words = f"released by {actor}: {reason}"
        await keep_slow(tx, pair["scope"], subject, slow, "released", words, {})
    await write_audit(
        tx,
        actor=actor,
        action=f"release-{pair['scope']}",
        subject=f"{pair['scope']}/{subject}",
        reason=reason,
        evidence={"begins_slowly": begins_slowly, "was": was},
    )
    per_hour = START_PER_HOUR if begins_slowly else 0
    return shaping_pb2.ReleasePairReply(changed=True, per_hour=per_hour)


def _pair(row: Row) -> shaping_pb2.Pair:
    until, since = row.pop("until"), row.pop("since")
    pair = shaping_pb2.Pair(**row)
    if until is not None:
        pair.until.FromDatetime(until.astimezone(UTC))
    if since is not None:
        pair.since.FromDatetime(since.astimezone(UTC))
    return pair
