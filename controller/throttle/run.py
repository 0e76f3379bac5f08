"""Runs of refusals open breakers, acceptances close them; in the transaction that stores both.

Each message speaks for two pairs: provider × egress and provider × domain. An open breaker is a
suspension of the pair (source `breaker`) and a slow beginning after it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from controller.audit import Entry, write_audits
from controller.providers.table import UNKNOWN
from controller.store import Transaction, queries
from controller.throttle.breaker import Breaker, Position, accepted, refused
from controller.throttle.follow import keep_slow, slowed, stop
from controller.throttle.heard import About, Heard
from controller.throttle.pace import START_PER_HOUR, starting

_SQL = queries.load("throttle")
ACTOR = "controller/breaker"
BREAKER = "breaker"
Pair = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Word:
    """A receiver's word for or against a pair of pairs. `heard` None: it took the message."""

    seq: int
    at: datetime
    provider: str
    about: About
    heard: Heard | None = None

    @property
    def pairs(self) -> tuple[Pair, Pair]:
        """(scope, `provider/subject`) of both."""
        return (
            ("provider-egress", f"{self.provider}/{self.about.egress_id}"),
            ("provider-domain", f"{self.provider}/{self.about.domain}"),
        )


def against(heard: Iterable[Heard]) -> list[Word]:
    """The words that count: the first of a receiver about each message, and about the sender."""
    words: dict[str, Word] = {}
    for each in heard:
        about = each.about
        if about is None or about.attempts or not each.is_against_sender:
            continue
        word = Word(each.refusal.seq, each.refusal.at, each.provider, about, each)
        words.setdefault(each.refusal.message_id, word)
    return list(words.values())


async def concerned(tx: Transaction, taken: Iterable[Word]) -> set[Pair]:
    """The pairs of which it matters that a receiver took something."""
    pairs = _pairs(taken)
    if not pairs:
        return set()
    rows = await tx.fetch_all(_SQL["concerned"], **_columns(pairs))
    return {(row["scope"], row["subject"]) for row in rows}


async def hold(tx: Transaction, words: Iterable[Word]) -> dict[Pair, Breaker]:
    """The breakers of all pairs that these speak of, locked at once; `count` moves them on.

    Before anything that a dispatcher waits for, and after `throttle.alone`: see there.
    """
    pairs = _pairs(words)
    rows = await tx.fetch_all(_SQL["breakers"], **_columns(pairs)) if pairs else []
    return {
        (row["scope"], row["subject"]): Breaker(
            row["changed_at"], Position(row["position"]), row["refusals"], row["opened"],
            row["until"],
        )
        for row in rows
    }  # fmt: skip


async def count(tx: Transaction, held: dict[Pair, Breaker], words: Iterable[Word]) -> None:
    """Moves the breakers of all pairs on, in the order in which things were reported."""
    known = sorted((w for w in words if w.provider != UNKNOWN), key=lambda word: word.seq)
    after, last = dict(held), dict[Pair, Word]()
    for word in known:
        for pair in word.pairs:
            breaker = after.get(pair)
            if word.heard is None:
                if breaker is not None:
                    after[pair] = accepted(breaker, word.at)
            else:
                after[pair] = refused(breaker or Breaker(word.at), word.at)
            last[pair] = word
    entries: list[Entry] = []
    for pair in sorted(last):
        if pair in after and after[pair] != held.get(pair):
            entries += await _change(tx, pair, held.get(pair), after[pair], last[pair])
            held[pair] = after[pair]
    await write_audits(tx, entries)


def _pairs(words: Iterable[Word]) -> list[Pair]:
    """Those of known providers, in order."""
    return sorted({p for word in words if word.provider != UNKNOWN for p in word.pairs})


def _columns(pairs: Sequence[Pair]) -> dict[str, list[str]]:
    return {
        "scopes": [scope for scope, _ in pairs],
        "providers": [subject.partition("/")[0] for _, subject in pairs],
        "subjects": [subject.partition("/")[2] for _, subject in pairs],
    }


async def _change(
    tx: Transaction, pair: Pair, before: Breaker | None, after: Breaker, word: Word
) -> list[Entry]:
    scope, subject = pair
    provider, _, of = subject.partition("/")
    await tx.execute(
        _SQL["keep_breaker"],
        scope=scope, provider=provider, subject=of, position=str(after.position),
        refusals=after.refusals, opened=after.opened, changed_at=after.changed_at,
        until=after.until,
    )  # fmt: skip
    was_open = before is not None and before.position is Position.OPEN
    if after.position is Position.OPEN and after.until is not None and word.heard is not None:
        reply, evidence = word.heard.reply, word.heard.evidence
        again = f"opened {after.opened} times in a row" if after.opened > 1 else "opened"
        reason = f"the trial was refused: {reply}" if was_open else f"refused in a row: {reply}"
        await stop(tx, scope, subject, BREAKER, BREAKER, reason, evidence, after.until)
        slow = starting(await slowed(tx, scope, subject), START_PER_HOUR, after.until, word.at)
        await keep_slow(tx, scope, subject, slow, BREAKER, reason[:1000], evidence)
        until = {"until": after.until.isoformat(), "state": again}
        return [_entry("suspend", pair, reason, until | evidence)]
    if was_open and after.position is Position.CLOSED:
        await tx.execute(_SQL["end_breaker_suspension"], scope=scope, subject=subject)
        reason = "the receiver takes mail again; it begins slowly"
        return [_entry("release", pair, reason, {"per_hour": str(START_PER_HOUR)})]
    return []


def _entry(verb: str, pair: Pair, reason: str, evidence: dict[str, str]) -> Entry:
    scope, subject = pair
    return Entry(
        actor=ACTOR,
        action=f"{verb}-{scope}",
        subject=f"{scope}/{subject}",
        reason=reason[:1000],
        evidence=dict(evidence),
    )
