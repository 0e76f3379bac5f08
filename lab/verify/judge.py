"""Puts the checks of one message together, and spreads many messages over processes."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from lab.dns_lookup import Lookup, LookupFailed
from lab.verify.dkim_check import check_dkim
from lab.verify.dmarc_check import PolicyReader, check_dmarc, from_domain
from lab.verify.spf_check import check_spf
from lab.verify.verdict import Verdict

_CHUNK = 25


@dataclass(frozen=True)
class Delivery:
    """What is judged: a kept message with the client's address, EHLO name and envelope sender."""

    raw: Path
    source: str
    helo: str
    sender: str


@dataclass(frozen=True)
class Resolver:
    """Which DNS is asked, and from which of our addresses ('' is any)."""

    server: str
    source: str = ""
    port: int = 53


class Judge:
    """Judges message after message; keeps what the DNS said, so make a new one after changes."""

    def __init__(self, lookup: Lookup) -> None:
        self._lookup = lookup
        self._policies = PolicyReader(lookup)
        self._spf: dict[tuple[str, str, str], tuple[str, str]] = {}

    def judge(self, delivery: Delivery) -> Verdict:
        """The verdict on one delivery. Raises OSError where its file cannot be read."""
        content = delivery.raw.read_bytes()
        dkim = check_dkim(content, self._lookup)
        domain = delivery.sender.rpartition("@")[2].lower()
        spf, spf_detail = self._check_spf(delivery, domain)
        author = from_domain(content)
        dmarc, dmarc_detail = check_dmarc(
            author,
            domain if spf == "pass" else "",
            dkim.domain if dkim.result == "pass" else "",
            self._policies,
        )
        ptr, fcrdns = self._reverse(delivery.source)
        return Verdict(
            dkim=dkim.result,
            dkim_domain=dkim.domain,
            dkim_detail=dkim.detail,
            spf=spf,
            spf_detail=spf_detail,
            dmarc=dmarc,
            dmarc_detail=dmarc_detail,
            fcrdns=fcrdns,
            ptr=ptr,
            from_domain=author,
        )

    def _check_spf(self, delivery: Delivery, domain: str) -> tuple[str, str]:
        """SPF macros may look at the local part, but the lab's records have none: one a domain."""
        key = (delivery.source, delivery.helo, domain)
        if key not in self._spf:
            self._spf[key] = check_spf(
                delivery.source, delivery.helo, delivery.sender, self._lookup
            )
        return self._spf[key]

    def _reverse(self, source: str) -> tuple[tuple[str, ...], str]:
        try:
            names = self._lookup.reverse_names(source)
            confirmed = any(source in self._lookup.records(name, "A") for name in names)
        except LookupFailed:
            return (), "temperror"
        return names, "pass" if confirmed else "fail"


def judge_all(
    deliveries: Sequence[Delivery],
    resolver: Resolver,
    processes: int,
    progress: Callable[[int], None] = lambda _: None,
) -> list[Verdict]:
    """The verdicts, in the order of the deliveries; `progress` is told how many are done.

    Processes are started afresh (spawn): forking one that speaks gRPC would hang.
    """
    verdicts: list[Verdict] = []
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, context, _prepare, (resolver,)) as pool:
        for verdict in pool.map(_judge_one, deliveries, chunksize=_CHUNK):
            verdicts.append(verdict)
            progress(len(verdicts))
    return verdicts


_judge: Judge | None = None


def _prepare(resolver: Resolver) -> None:
    global _judge  # one per worker process
    _judge = Judge(Lookup(resolver.server, resolver.port, source=resolver.source))


def _judge_one(delivery: Delivery) -> Verdict:
    assert _judge is not None
    return _judge.judge(delivery)
