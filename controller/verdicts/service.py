"""HealthService: operators look at verdicts and what they are made of, and resume."""

# ruff: noqa: N802 (names are gRPC's)

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, cast

from grpc import aio
from postfleet.v1 import health_pb2, health_pb2_grpc

from controller.fleet.answering import answering
from controller.fleet.errors import BadRequestError, NotFoundError
from controller.fleet.ordering import reason_given, run_order
from controller.fleet.pages import clean, page_size
from controller.health.bands import Band, called_for
from controller.health.counts import Window
from controller.health.judge import SCOPES, Evidence, all_estimates
from controller.health.rates import Estimate
from controller.health.read import SQL, Known, evidence, standings
from controller.health.score import score
from controller.keys.identity import Peer, peer_identity
from controller.store import Row, Store, Transaction, queries
from controller.verdicts.resume import resume
from inventory.health import Health

_SETTINGS = queries.load("intake")["fleet"]
_TIMES = ("since", "until", "counted_from", "judged_at")
Context = aio.ServicerContext[Any, Any]


class HealthService(health_pb2_grpc.HealthServiceServicer):
    """One for all callers. Method names are those of health.proto."""

    def __init__(self, store: Store) -> None:
        self._store = store

    @answering
    async def ListHealth(
        self,
        request: health_pb2.ListHealthRequest,
        context: Context,  # noqa: ARG002
    ) -> health_pb2.HealthList:
        bands = [str(band) for band in Band]
        if request.band and request.band not in bands:
            raise BadRequestError(f"band: {request.band!r}; there are {', '.join(bands)}")
        size = page_size(request.page_size)
        after_score, after_subject = _after(clean(request.page_token, "page_token"))
        rows = await self._store.fetch_all(
            SQL["list"],
            scope=_scope(request.scope), band=request.band,
            filter=clean(request.filter, "filter").lower(),
            after_score=after_score, after_subject=after_subject, limit=size + 1,
        )  # fmt: skip
        shown = rows[:size]
        last = shown[-1] if len(rows) > size else None
        token = f"{last['score']!r} {last['subject']}" if last else ""
        return health_pb2.HealthList(health=map(_row, shown), next_page_token=token)

    @answering
    async def ShowHealth(
        self,
        request: health_pb2.ShowHealthRequest,
        context: Context,  # noqa: ARG002
    ) -> health_pb2.HealthDetail:
        scope, subject = _scope(request.scope), clean(request.subject, "subject").lower()
        async with self._store.transaction() as tx:
            now = await tx.now()
            known = await standings(tx, scope, [subject], now)
            if not known:
                raise _missing(scope, subject)
            row = await tx.fetch_optional(SQL["of"], scopes=[scope], subjects=[subject])
            found = (await evidence(tx, scope, known, now))[subject]
            stored = await tx.fetch_optional(_SETTINGS)
        settings = Health.model_validate((stored["value"] if stored else {}).get("health", {}))
        return _detail(_row(row) if row else _new(scope, known[0]), found, settings)

    @answering
    async def Resume(
        self, request: health_pb2.ResumeRequest, context: Context
    ) -> health_pb2.ResumeReply:
        scope, subject = _scope(request.scope), clean(request.subject, "subject").lower()
        reason = reason_given(request.reason)
        if not reason:
            raise BadRequestError("reason: it needs one; it is what others will read")
        actor = peer_identity(cast("Peer", context)).actor

        async def work(tx: Transaction) -> health_pb2.ResumeReply:
            row = await tx.fetch_optional(SQL["of"], scopes=[scope], subjects=[subject])
            done = await resume(tx, scope, subject, actor, reason, as_it_was=request.as_it_was)
            if done is None:
                raise _missing(scope, subject)
            before = _row(row) if row else _new(scope, done.before)
            return health_pb2.ResumeReply(
                changed=done.changed, before=before, remaining=done.remaining
            )

        return await run_order(self._store, work, request.dry_run)


def _scope(text: str) -> str:
    if text not in SCOPES:
        raise BadRequestError(f"scope: {text!r}; there are {', '.join(SCOPES)}")
    return text


def _after(token: str) -> tuple[float, str]:
    if not token:
        return -1.0, ""
    score_text, _, subject = token.partition(" ")
    try:
        return float(score_text), subject
    except ValueError:
        raise BadRequestError(f"page_token: {token!r} is not from an earlier page") from None


def _missing(scope: str, subject: str) -> NotFoundError:
    return NotFoundError(
        f"there is no {scope} {subject!r} in the fleet; `postfleet {scope} list` shows them"
    )


def _row(row: Row) -> health_pb2.Health:
    times: dict[str, datetime | None] = {name: row.pop(name) for name in _TIMES}
    message = health_pb2.Health(**row)
    for name, at in times.items():
        if at is not None:
            getattr(message, name).FromDatetime(at.astimezone(UTC))
    return message


def _new(scope: str, known: Known) -> health_pb2.Health:
    return health_pb2.Health(scope=scope, subject=known.subject, band="good", score=known.score)


def _detail(row: health_pb2.Health, found: Evidence, settings: Health) -> health_pb2.HealthDetail:
    each = all_estimates(found, settings)
    parts = score(found.counts, each, settings).parts
    votes = found.votes
    return health_pb2.HealthDetail(
        health=row,
        parts=[health_pb2.HealthPart(name=p.name, points=p.points, words=p.words) for p in parts],
        rates=[_rate(one, settings) for one in each if one.of],
        counts=list(_counts(found)),
        members=votes.members if votes else 0,
        stopped_members=votes.stopped if votes else (),
        listings=found.listings,
    )


def _rate(one: Estimate, settings: Health) -> health_pb2.HealthRate:
    low, high = one.interval()
    return health_pb2.HealthRate(
        name=one.signal.name, provider=one.provider, window=one.window, bad=one.bad, of=one.of,
        rate=one.rate, low=low, high=high, band=str(called_for([one], settings).reached),
    )  # fmt: skip


def _counts(found: Evidence) -> Iterator[health_pb2.HealthCount]:
    for provider, counts in (("", found.counts), *sorted(found.by_provider.items())):
        for kind in sorted(counts.get(Window.MONTH, {})):
            hour, day, week, month = (counts[window].get(kind, 0) for window in Window)
            yield health_pb2.HealthCount(
                provider=provider, kind=kind, hour=hour, day=day, week=week, month=month
            )
