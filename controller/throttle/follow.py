"""Does what rules say, in the transaction that stores the replies: slow-downs, suspensions of what
a rule names, ends of messages, suppressions. Each is audited with rule and log line, once for each
beginning.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from controller.audit import Entry, write_audits
from controller.shaping.rule import PAIRS, Rule
from controller.store import Row, Transaction, queries
from controller.throttle.heard import About, Heard
from controller.throttle.pace import START_PER_HOUR, Slowed, rate, slower, starting

_SQL = queries.load("throttle")
ACTOR = "controller/shaping"
SOURCE = "shaping"


async def follow(tx: Transaction, heard: Sequence[Heard]) -> None:
    """Acts on what was heard. Repeats of one rule about one thing within a report count once."""
    entries: list[Entry] = []
    now = await tx.now() if any(e.rule and e.rule.action == "suspend" for e in heard) else None
    for each, rule, about in _distinct(heard):
        match rule.action:
            case "slow":
                entries += await _slow(tx, each, rule, about)
            case "suspend":
                entries += await _suspend(tx, each, rule, about, now)
            case _:
                pass
    entries += await _give_up(tx, [each for each in heard if each.ends_message and each.about])
    for each in heard:
        if each.ends_recipient and each.about is not None:
            entries += await _suppress(tx, each, each.about)
    await write_audits(tx, entries)


def _distinct(heard: Sequence[Heard]) -> Iterable[tuple[Heard, Rule, About]]:
    last: dict[tuple[str, str], tuple[Heard, Rule, About]] = {}
    for each in heard:
        if each.rule is not None and each.about is not None:
            last[each.rule.name, _subject(each, each.rule, each.about)] = (
                each, each.rule, each.about
            )  # fmt: skip
    # In one order, so that two reports never wait for one another crosswise.
    return [last[key] for key in sorted(last)]


def _subject(each: Heard, rule: Rule, about: About) -> str:
    """What the rule's scope names here; of a pair `provider/…`."""
    match rule.scope:
        case "provider-egress":
            return f"{each.provider}/{about.egress_id}"
        case "provider-domain":
            return f"{each.provider}/{about.domain}"
        case "egress":
            return about.egress_id
        case "domain":
            return about.domain
        case _:
            return about.mailbox


async def _slow(tx: Transaction, each: Heard, rule: Rule, about: About) -> list[Entry]:
    at, subject = each.refusal.at, _subject(each, rule, about)
    before = await slowed(tx, rule.scope, subject)
    after = slower(before, float(rule.per_hour or 1), at)
    was = rate(before, at) if before else None
    await keep_slow(tx, rule.scope, subject, after, rule.name, rule.why, each.evidence)
    if was is not None and after.per_hour >= was:
        return []
    limits: dict[str, object] = {"per_hour": after.per_hour, "was": was}
    return [_entry("slow", rule, subject, each, limits)]


async def _suspend(
    tx: Transaction, each: Heard, rule: Rule, about: About, now: datetime | None
) -> list[Entry]:
    subject, until = _subject(each, rule, about), each.refusal.at + rule.length
    if now is not None and until <= now:
        # Old news: the node could not report for a long time.
        return []
    reason = f"{rule.why}: {each.reply}"
    held, until = await stop(
        tx, rule.scope, subject, SOURCE, rule.name, reason, each.evidence, until
    )
    if rule.scope in PAIRS:
        before = await slowed(tx, rule.scope, subject)
        after = starting(before, START_PER_HOUR, until, each.refusal.at)
        await keep_slow(tx, rule.scope, subject, after, rule.name, rule.why, each.evidence)
    if held:
        return []
    return [_entry("suspend", rule, subject, each, {"until": until.isoformat()})]


async def stop(
    tx: Transaction,
    scope: str,
    subject: str,
    source: str,
    stage: str,
    reason: str,
    evidence: dict[str, str],
    until: datetime,
) -> tuple[bool, datetime]:
    """Suspends; gives whether `source` had stopped it already, and until when it is stopped now."""
    named = {"scope": scope, "subject": subject, "source": source}
    held = await tx.fetch_optional(_SQL["stopped"], **named)
    ends = await tx.fetch_value(
        _SQL["suspend"],
        **named, stage=stage, reason=reason[:1000], evidence=evidence, until=until,
    )  # fmt: skip
    return held is not None, ends


async def _give_up(tx: Transaction, heard: Sequence[Heard]) -> list[Entry]:
    """Asks messages back that are refused for good; what comes back ends (fleet/cancel.py)."""
    by_id = {each.refusal.message_id: each for each in heard}
    if not by_id:
        return []
    asked = await tx.fetch_all(_SQL["give_up"], ids=sorted(by_id), actor=ACTOR)
    entries = []
    for row in asked:
        each = by_id[row["id"]]
        name, why = (each.rule.name, each.rule.why) if each.rule else ("", "")
        entries.append(
            Entry(
                actor=ACTOR,
                action="bounce-message",
                subject=f"message/{row['id']}",
                reason=f"{name}: {why}",
                evidence={"rule": name, **each.evidence},
            )
        )
    return entries


async def _suppress(tx: Transaction, each: Heard, about: About) -> list[Entry]:
    row = await tx.fetch_optional(
        _SQL["suppress"],
        client_id=about.client_id, recipient=about.recipient, evidence=each.refusal.log_line[:2000],
    )  # fmt: skip
    if row is None:
        return []
    return [
        Entry(
            actor=ACTOR,
            action="add-suppression",
            subject=f"suppression/{about.client_id}",
            reason=f"{row['recipient']}: {each.reply}"[:1000],
            evidence={"recipients": {row["recipient"]: "bounce"}, "why": each.meaning.why}
            | each.evidence,
        )
    ]


async def slowed(tx: Transaction, scope: str, subject: str) -> Slowed | None:
    """A pair's row, locked; None: it is not slowed. `subject`: `provider/…`."""
    row: Row | None = await tx.fetch_optional(_SQL["slowed"], **_pair(scope, subject))
    return None if row is None else Slowed(**row)


async def keep_slow(
    tx: Transaction,
    scope: str,
    subject: str,
    slow: Slowed,
    rule: str,
    reason: str,
    evidence: dict[str, str],
) -> None:
    """Writes what became of a pair."""
    await tx.execute(
        _SQL["slow"],
        **_pair(scope, subject),
        per_hour=slow.per_hour, since=slow.since, lowered_at=slow.lowered_at, ceiling=slow.ceiling,
        rule=rule, reason=reason, evidence=evidence,
    )  # fmt: skip


def _pair(scope: str, subject: str) -> dict[str, str]:
    provider, _, of = subject.partition("/")
    return {"scope": scope, "provider": provider, "subject": of}


def _entry(verb: str, rule: Rule, subject: str, each: Heard, more: dict[str, object]) -> Entry:
    return Entry(
        actor=ACTOR,
        action=f"{verb}-{rule.scope}",
        subject=f"{rule.scope}/{subject}",
        reason=f"{rule.name}: {rule.why}",
        evidence={**more, "rule": rule.name, **each.evidence},
    )
