"""Finds the providers of waiting messages; never makes a message wait.

Two loops. `Naming` speaks to the database only: a message that was not looked at gets its domain's
provider, or goes on as `unknown` at once. `Asking` speaks to the DNS: each domain in a task of its
own, many at a time, so that one that does not answer holds up nobody; when an answer comes, the
messages of that domain that have not ended get it. Answers stay as long as their TTL says. A domain
that does not answer is asked again after a pause that doubles, and given up after a day until a new
message asks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from prometheus_client import Counter, Gauge

from controller.metrics import REGISTRY
from controller.providers.lookup import MailDns, MailHosts, Outcome
from controller.providers.table import UNKNOWN, ProviderTable
from controller.store import Row, Store, Transaction, queries

_SQL = queries.load("providers")
_NAMED_AT_ONCE = 5000
_ASKED_AT_ONCE = 100
_FIRST_PAUSE_S = 30
_LONGEST_PAUSE_S = 3600
# With the pauses above: about a day.
_MOST_FAILURES = 30

NAMED = Counter(
    "postfleet_providers_named_total",
    "Messages given a provider, by provider (of the table; else other; unknown: not found yet).",
    ["provider"],
    registry=REGISTRY,
)
ASKED = Counter(
    "postfleet_providers_asked_total",
    "Domains looked up in the DNS, by outcome: found, none, failed.",
    ["outcome"],
    registry=REGISTRY,
)
UNDER_WAY = Gauge(
    "postfleet_providers_lookups", "DNS lookups of domains under way.", registry=REGISTRY
)


class Naming:
    """Gives new messages their provider. `is_busy` after a cycle that found many."""

    def __init__(self, store: Store, table: ProviderTable) -> None:
        self._store = store
        self._table = table
        self.is_busy = False

    async def run_cycle(self) -> str:
        """One batch of messages that were not looked at."""
        rows = await self._store.run(name)
        for row in rows:
            NAMED.labels(self._table.label(row["provider"])).inc(row["messages"])
        named = sum(row["messages"] for row in rows)
        self.is_busy = named >= _NAMED_AT_ONCE
        return f"named {named} messages" if named else "every message has its provider"


async def name(tx: Transaction) -> list[Row]:
    """Gives one batch of messages that were not looked at their provider; how many got which."""
    await _alone(tx)
    return await tx.fetch_all(_SQL["name"], limit=_NAMED_AT_ONCE)


async def _alone(tx: Transaction) -> None:
    """Until the end of this transaction nobody else names messages or keeps answers.

    An answer stored while messages were looked at would miss them: they would stay `unknown`, and
    no limit of their provider would hold for them.
    """
    await tx.lock("providers")


@dataclass(frozen=True, slots=True)
class _Answered:
    """A question and its answer. `failures`: how many times in a row it failed before."""

    domain: str
    failures: int
    answer: MailHosts


class Asking:
    """Looks domains up. Holds what is under way; close it with the loop."""

    def __init__(self, store: Store, table: ProviderTable, dns: MailDns) -> None:
        self._store = store
        self._table = table
        self._dns = dns
        self._running: dict[str, asyncio.Task[_Answered]] = {}

    async def run_cycle(self) -> str:
        """Keeps the answers that came, starts new questions; waits for none."""
        done = [task for task in self._running.values() if task.done()]
        answers = [task.result() for task in done]
        renamed = await self._store.run(lambda tx: self._keep(tx, answers)) if answers else 0
        for answered in answers:
            ASKED.labels(answered.answer.outcome).inc()
            del self._running[answered.domain]
        room = _ASKED_AT_ONCE - len(self._running)
        if room:
            for row in await self._due(room):
                self._running[row["domain"]] = asyncio.create_task(
                    self._ask(row["domain"], row["failures"])
                )
        UNDER_WAY.set(len(self._running))
        if not answers and not self._running:
            return "no domain to ask for"
        return f"{len(answers)} answers, {renamed} messages named, {len(self._running)} under way"

    async def close(self) -> None:
        """Gives up what is under way; it is asked again by whoever comes next."""
        for task in self._running.values():
            task.cancel()
        await asyncio.gather(*self._running.values(), return_exceptions=True)
        self._running.clear()
        UNDER_WAY.set(0)

    async def _due(self, room: int) -> list[Row]:
        async with self._store.transaction() as tx:
            return await tx.fetch_all(_SQL["due"], except_domains=list(self._running), limit=room)

    async def _ask(self, domain: str, failures: int) -> _Answered:
        return _Answered(domain, failures, await self._dns.ask(domain))

    async def _keep(self, tx: Transaction, answers: Sequence[_Answered]) -> int:
        await _alone(tx)
        rows = sorted((self._row(each) for each in answers), key=lambda row: str(row["domain"]))
        columns = ("domain", "outcome", "failures", "receiver", "hosts", "due_s", "wanted")
        plural = ("domains", "outcomes", "failures", "receivers", "hosts", "dues_s", "wanted")
        await tx.execute(
            _SQL["answered"],
            **{many: [row[one] for row in rows] for one, many in zip(columns, plural, strict=True)},
        )
        found = [row for row in rows if row["receiver"] != UNKNOWN]
        if not found:
            return 0
        renamed: int = await tx.fetch_value(
            _SQL["rename"],
            domains=[row["domain"] for row in found],
            receivers=[row["receiver"] for row in found],
        )
        return renamed

    def _row(self, answered: _Answered) -> dict[str, object]:
        answer = answered.answer
        failed = answer.outcome is Outcome.FAILED
        failures = answered.failures + 1 if failed else 0
        return {
            "domain": answered.domain,
            "outcome": str(answer.outcome),
            "failures": failures,
            "receiver": self._table.of_host(answer.hosts[0]) if answer.hosts else UNKNOWN,
            "hosts": " ".join(answer.hosts[:20]),
            "due_s": pause_s(failures) if failed else answer.ttl_s,
            "wanted": failed and failures < _MOST_FAILURES,
        }


def pause_s(failures: int) -> int:
    """Seconds until a domain is asked again that failed so many times in a row (1: once)."""
    return int(min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2 ** min(failures - 1, 20)))
