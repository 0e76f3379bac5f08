"""Keeps feedback and does what follows from it, in one transaction with its audit entries."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from controller.audit import Entry as AuditEntry
from controller.audit import write_audits
from controller.campaigns.stop import Heard, stop
from controller.feedback.entry import Entry, Kind
from controller.health import counts
from controller.health.tally import Tally, Whose
from controller.replies import classify, read_reply
from controller.store import Row, Transaction, queries
from controller.suppression.change import add
from controller.suppression.entry import Entry as Suppression

SQL = queries.load("feedback")
# Why nothing follows in campaigns.
_WHY = {
    Kind.REPLY: "the recipient replied",
    Kind.BOUNCE: "a message bounced",
    Kind.UNSUBSCRIBE: "the recipient unsubscribed",
    Kind.COMPLAINT: "the recipient complained",
}


@dataclass(frozen=True, slots=True)
class About:
    """The message a row is about; it was on its way at least once."""

    message_id: str
    client_id: str
    recipient: str
    mailbox: str
    egress_id: str
    provider: str


@dataclass(frozen=True, slots=True)
class Taken:
    """`new`: what was not on record. `suppressed`: recipients that were not before."""

    new: Sequence[tuple[Entry, About]]
    suppressed: int


async def find(
    tx: Transaction, entries: Sequence[Entry], client_id: str | None
) -> list[About | None]:
    """The message of each, in order; None: there is none, or it is not this client's."""
    rows = await tx.fetch_all(
        SQL["messages"],
        rows=list(range(len(entries))),
        ids=[each.message_id or "" for each in entries],
        recipients=[each.recipient for each in entries],
        mailboxes=[each.mailbox for each in entries],
        ats=[each.at for each in entries],
        client_id=client_id,
    )
    return [_about(row) for row in rows]


def _about(row: Row) -> About | None:
    if row["id"] is None:
        return None
    return About(
        row["id"], row["client_id"], row["recipient"], row["mailbox"] or "", row["egress_id"] or "",
        row["provider"],
    )  # fmt: skip


async def take(tx: Transaction, rows: Sequence[tuple[Entry, About]], actor: str) -> Taken:
    """Keeps what is not on record; only what is new has consequences."""
    first: dict[tuple[str, str], tuple[Entry, About]] = {}
    for entry, about in rows:
        first.setdefault((about.message_id, entry.kind), (entry, about))
    kept = await tx.fetch_all(
        SQL["take"],
        message_ids=[about.message_id for _, about in first.values()],
        kinds=[entry.kind for entry, _ in first.values()],
        client_ids=[about.client_id for _, about in first.values()],
        ats=[entry.at for entry, _ in first.values()],
        evidences=[entry.evidence for entry, _ in first.values()],
        told_by=actor,
    )
    new = [first[row["message_id"], row["kind"]] for row in kept]
    suppressed = await _suppress(tx, new, actor)
    await stop(tx, [_heard(entry, about) for entry, about in new], actor)
    await write_audits(tx, _audit(new, actor))
    await _count(tx, new)
    return Taken(new, suppressed)


def _heard(entry: Entry, about: About) -> Heard:
    recipient = about.recipient.lower()
    return Heard(
        about.message_id, about.client_id, recipient, _WHY[entry.kind], entry.ends_recipient
    )


async def _count(tx: Transaction, new: Sequence[tuple[Entry, About]]) -> None:
    tally = Tally()
    for entry, about in new:
        kind: str = entry.kind
        if entry.kind is Kind.BOUNCE:
            kind = counts.bounced(classify(read_reply(entry.evidence)).scope)
        if about.mailbox and about.egress_id:
            tally.add(Whose(about.mailbox, about.egress_id, about.provider), kind)
    await tally.write(tx)


async def _suppress(tx: Transaction, new: Sequence[tuple[Entry, About]], actor: str) -> int:
    ended: dict[tuple[str, str], Suppression] = {}
    # Where one recipient did several things, the gravest is the reason.
    for entry, about in sorted(new, key=lambda row: (row[0].kind is not Kind.COMPLAINT, row[0].at)):
        if entry.ends_recipient:
            recipient = about.recipient.lower()
            evidence = f"message {about.message_id}: {entry.evidence}".removesuffix(": ")[:2000]
            ended.setdefault(
                (about.client_id, recipient),
                Suppression(about.client_id, recipient, entry.kind, evidence, entry.at),
            )
    return len(await add(tx, list(ended.values()), actor)) if ended else 0


def _audit(new: Sequence[tuple[Entry, About]], actor: str) -> list[AuditEntry]:
    """One entry for each client, so that an import of 100,000 does not fill the log."""
    counts: dict[str, Counter[str]] = {}
    for entry, about in new:
        counts.setdefault(about.client_id, Counter())[entry.kind] += 1
    return [
        AuditEntry(
            actor=actor,
            action="take-feedback",
            subject=f"client/{client_id}",
            reason="",
            evidence=dict(counts[client_id]),
        )
        for client_id in sorted(counts)
    ]
