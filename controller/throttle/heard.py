"""What was heard of a receiver about one message, and what it means. Pure.

Only an attempt that reached a receiver counts: not what our gateway stopped (`gateway_stage`), not
what Postfix repeats for mail it did not try, and not Postfix's own words (no connection, no DNS).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from controller.providers.table import UNKNOWN, ProviderTable
from controller.replies import Classification, Reply, Scope, Speaker, classify, read_reason
from controller.shaping.book import RuleBook
from controller.shaping.rule import Rule

_AGAINST_SENDER = frozenset(
    {Scope.REPUTATION, Scope.POLICY, Scope.CAPACITY, Scope.CONTENT, Scope.UNKNOWN}
)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A deferral or bounce as a node reported it. `final`: Postfix gave it up (bounced)."""

    seq: int
    message_id: str
    egress_id: str
    relay: str
    reason: str
    dsn: str
    log_line: str
    at: datetime
    final: bool


@dataclass(frozen=True, slots=True)
class About:
    """Whose message it is."""

    client_id: str
    mailbox: str
    recipient: str
    egress_id: str
    provider: str
    # Tries of Postfix that reached a receiver, before what is reported now.
    attempts: int = 0
    # The controller wrote it.
    warm_up: bool = False

    @property
    def domain(self) -> str:
        """The sending domain."""
        return self.mailbox.rpartition("@")[2]


@dataclass(frozen=True, slots=True)
class Heard:
    """`about` None: the message is not this node's any more; then nothing follows."""

    refusal: Refusal
    reply: Reply
    meaning: Classification
    provider: str
    rule: Rule | None
    about: About | None

    @property
    def by_receiver(self) -> bool:
        """Whether a receiver spoke."""
        return self.reply.speaker is Speaker.RECEIVER

    @property
    def ends_recipient(self) -> bool:
        """Whether mail to this address is over for this client."""
        final = self.refusal.final or (self.rule is not None and self.rule.action == "bounce")
        return self.by_receiver and final and self.meaning.ends_recipient

    @property
    def ends_message(self) -> bool:
        """Whether a node still tries a message of which a rule says that it is refused for good."""
        bounces = self.rule is not None and self.rule.action == "bounce"
        return self.by_receiver and bounces and not self.refusal.final

    @property
    def is_against_sender(self) -> bool:
        """Whether it counts towards a breaker: about the sender, not the address or the way."""
        waved_off = self.rule is not None and self.rule.action == "nothing"
        return self.by_receiver and not waved_off and self.meaning.scope in _AGAINST_SENDER

    @property
    def evidence(self) -> dict[str, str]:
        """What stands in the audit log and with a suspension."""
        return {
            "message": self.refusal.message_id,
            "reply": str(self.reply),
            "line": self.refusal.log_line,
        }


@dataclass
class Listener:
    """Rules and providers by which replies are understood; the same for all sessions. `book` is
    replaced as a whole where an operator's rules change (reload.py)."""

    book: RuleBook
    table: ProviderTable

    def hear(self, refusals: Iterable[Refusal], about: Mapping[str, About]) -> list[Heard]:
        """The meaning of each, in order. `about` by message id."""
        return [self._hear(each, about.get(each.message_id)) for each in refusals]

    def provider(self, about: About | None, host: str) -> str:
        """Whose words they are; where the DNS did not tell in time, by the host that answered."""
        if about is not None and about.provider != UNKNOWN:
            return about.provider
        name = host.partition("[")[0]
        return self.table.of_host(name) if name not in ("", "none") else UNKNOWN

    def _hear(self, refusal: Refusal, about: About | None) -> Heard:
        reply = read_reason(refusal.reason, refusal.dsn)
        if about is not None and refusal.egress_id:
            about = replace(about, egress_id=refusal.egress_id)
        provider = self.provider(about, reply.host or refusal.relay)
        rule = self.book.first(reply, provider)
        meaning = classify(reply)
        if rule is not None and rule.action == "bounce":
            meaning = replace(meaning, permanent=True, why=f"rule {rule.name}")
        if reply.speaker is not Speaker.RECEIVER and meaning.scope is Scope.RECIPIENT:
            meaning = replace(meaning, permanent=False)
        return Heard(refusal, reply, meaning, provider, rule, about)
