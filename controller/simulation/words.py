"""The replies in which the model's receivers refuse: the shaping rules' own samples.

So what follows from a refusal is found as for real ones: the reply is read, classified and led
through the rule book.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from controller.health.counts import bounced, deferred
from controller.providers.table import open_table
from controller.replies import Reply, Scope, classify
from controller.replies.reply import read_reply
from controller.shaping.book import RuleBook, open_book
from controller.shaping.rule import Rule
from controller.simulation.receivers import Answer

_PLAIN = {
    Answer.UNKNOWN: "550 5.1.1 The email account that you tried to reach does not exist.",
    Answer.BUSY: "450 4.2.0 Greylisted, please try again later",
    Answer.LIMITED: "451 4.7.1 too many connections from your address, please try again later",
    Answer.BLOCKED: "550 5.7.1 refused because of the bad reputation of the sender",
}
_AGAINST_SENDER = frozenset(
    {Scope.REPUTATION, Scope.POLICY, Scope.CAPACITY, Scope.CONTENT, Scope.UNKNOWN}
)


@dataclass(frozen=True, slots=True)
class Word:
    """A refusal as the controller understands it. `against_sender`: counts towards breakers;
    `final`: Postfix gives the message up; `kind`: as what it counts in health."""

    reply: Reply
    rule: Rule | None
    against_sender: bool
    final: bool
    kind: str

    @property
    def why(self) -> str:
        """For those who ask why something stopped."""
        return self.rule.why if self.rule else str(self.reply)


class Words:
    """The words of every provider."""

    def __init__(self, book: RuleBook | None = None) -> None:
        self._book = book or open_book(None, open_table().names)
        self._words: dict[tuple[str, Answer], Word] = {}

    def of(self, provider: str, answer: Answer) -> Word:
        """How this provider says it. `answer` is a refusal."""
        word = self._words.get((provider, answer))
        if word is None:
            word = self._words[provider, answer] = self._read(provider, answer)
        return word

    def _read(self, provider: str, answer: Answer) -> Word:
        text = next(self._samples(provider, answer), _PLAIN[answer])
        reply = read_reply(text)
        rule = self._book.first(reply, provider)
        meaning = classify(reply)
        waved_off = rule is not None and rule.action == "nothing"
        against = not waved_off and meaning.scope in _AGAINST_SENDER
        final = reply.code >= 500
        # Where a rule says that it means nothing, the receiver wants time (as events.health).
        scope = Scope.CAPACITY if waved_off and not final else meaning.scope
        kind = bounced(scope) if final else deferred(scope)
        return Word(reply, rule, against, final, kind)

    def _samples(self, provider: str, answer: Answer) -> Iterator[str]:
        """The provider's own words for it: of rules that slow, or that suspend for a reputation."""
        wanted = {Answer.LIMITED: "slow", Answer.BLOCKED: "suspend"}.get(answer)
        for placed in self._book.rules:
            rule = placed.rule
            if provider not in rule.provider or rule.action != wanted:
                continue
            for text in rule.samples:
                reply = read_reply(text)
                if classify(reply).scope in (Scope.REPUTATION, Scope.CAPACITY, Scope.POLICY):
                    yield text
