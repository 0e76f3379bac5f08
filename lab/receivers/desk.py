"""What a receiver process does with what it hears: asks the rules, waits, and writes the record."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

from aiosmtpd.smtp import Envelope, Session

from lab.receivers.decide import Cut, Decision, Memory, Transaction, decide, follow_ups
from lab.receivers.errors import RulesError
from lab.receivers.records import Kind, Record, RecordWriter
from lab.receivers.replies import Reply, reply_named
from lab.receivers.rules import Complaint, LateDsn, Rules, Stage, read_rules
from lab.receivers.settings import Provider

FollowUp = Callable[[LateDsn | Complaint, Record, bytes], None]


class RulesFile:
    """The rules in force: reread when the file changed; a bad file leaves the old ones."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: tuple[int, int] | None = None
        self._rules = Rules()
        self.error = ""

    def current(self) -> Rules:
        """The rules as of now."""
        try:
            stat = self._path.stat()
        except FileNotFoundError:
            return self._rules
        stamp = (stat.st_mtime_ns, stat.st_ino)
        if stamp != self._stamp:
            self._stamp = stamp
            try:
                self._rules, self.error = read_rules(self._path), ""
            except RulesError as error:
                self.error = str(error)
        return self._rules


class Desk:
    """One provider's judgement and its record. All methods belong to one event loop."""

    def __init__(
        self, provider: Provider, rules: RulesFile, writer: RecordWriter, follow_up: FollowUp
    ) -> None:
        self._provider = provider
        self._rules = rules
        self._writer = writer
        self._follow_up = follow_up
        self._memory = Memory()

    async def greet(self, target: str, session: Session) -> Reply | Cut | None:
        """What is said instead of the greeting."""
        return await self.ask("connect", target, session, Envelope(), "", "")

    async def ask(
        self,
        stage: Stage,
        target: str,
        session: Session,
        envelope: Envelope,
        sender: str,
        recipient: str,
    ) -> Reply | Cut | None:
        """The rules' answer at a stage; None is yes. A refusal is on record when this returns."""
        if stage == "rcpt" and not self._is_ours(recipient):
            decision = Decision(answer=reply_named("relay-denied"), why="relay")
        else:
            decision = await self._decide(stage, session, sender, recipient)
        if decision.answer is not None:
            self._note(decision, stage, target, session, envelope, sender, recipient, b"")
        return decision.answer

    async def finish(
        self, target: str, session: Session, envelope: Envelope, content: bytes
    ) -> str | Cut:
        """After the final dot: one record for each recipient, then the reply's text or a cut."""
        sender = envelope.mail_from or ""
        decision = await self._decide("dot", session, sender, envelope.rcpt_tos[0])
        for recipient in envelope.rcpt_tos:
            self._note(decision, "dot", target, session, envelope, sender, recipient, content)
        if decision.answer is None:
            return "250 2.0.0 Ok: queued"
        return decision.answer if isinstance(decision.answer, Cut) else decision.answer.render()

    def _is_ours(self, recipient: str) -> bool:
        return recipient.rpartition("@")[2].lower() in self._provider.domains

    async def _decide(
        self, stage: Stage, session: Session, sender: str, recipient: str
    ) -> Decision:
        transaction = Transaction(self._provider.name, _source(session), sender, recipient)
        decision = decide(self._rules.current(), stage, transaction, self._memory, time.monotonic())
        if decision.stall_s:
            await asyncio.sleep(decision.stall_s)
        return decision

    def _note(
        self,
        decision: Decision,
        stage: str,
        target: str,
        session: Session,
        envelope: Envelope,
        sender: str,
        recipient: str,
        content: bytes,
    ) -> None:
        kind, reply = _kind(decision.answer)
        taken = kind in ("accepted", "unanswered")
        raw, size, digest = self._writer.keep(content) if taken else ("", len(content), "")
        cipher = session.ssl["ssl_object"].cipher() if session.ssl else None
        record = Record(
            kind=kind,
            provider=self._provider.name,
            at=time.time(),
            source=_source(session),
            target=target,
            helo=session.host_name or "",
            tls=session.ssl["ssl_object"].version() if session.ssl else "",
            cipher=cipher[0] if cipher else "",
            sender=sender,
            recipient=recipient,
            stage=stage,
            why=decision.why,
            reply=reply,
            options=tuple(envelope.mail_options),
            raw=raw,
            size=size,
            sha256=digest,
        )
        self._writer.write(record)
        if kind == "accepted":
            t = Transaction(self._provider.name, record.source, sender, recipient)
            for action in follow_ups(self._rules.current(), t):
                self._follow_up(action, record, content)


def _kind(answer: Reply | Cut | None) -> tuple[Kind, str]:
    if answer is None:
        return "accepted", "250 2.0.0 Ok: queued"
    if isinstance(answer, Cut):
        return ("unanswered" if answer.keep else "dropped"), ""
    return ("refused" if answer.permanent else "deferred"), answer.render().replace("\r\n", "\n")


def _source(session: Session) -> str:
    """The client's address (aiosmtpd types the peer as it may come from any kind of socket)."""
    assert isinstance(session.peer, tuple)
    return str(session.peer[0])
