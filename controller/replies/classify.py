"""What a reply means: its class, what it is about, and whether it is for good. Pure.

Three sources, the later ones for what the earlier leave open: the enhanced status code (RFC 3463
and IANA's registry), the basic reply code, and the words. Words may also contradict the code: `550
5.1.1 … listed by Spamhaus` says nothing about the address. The class is always the basic code's:
Postfix acts on that one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from controller.replies.meanings import Scope, Sign, meanings
from controller.replies.reply import Reply, Speaker

# A name or an address in a reply says nothing about its meaning: virus@x.test is no virus.
_ADDRESS = re.compile(r"\S+@\S+")


class Class(StrEnum):
    """RFC 3463 section 3.1, in Postfix's words; `none`: no reply at all."""

    SUCCESS = "success"
    TEMPORARY = "temporary"
    PERMANENT = "permanent"
    NONE = "none"


_CLASSES = {"2": Class.SUCCESS, "4": Class.TEMPORARY, "5": Class.PERMANENT}


@dataclass(frozen=True, slots=True)
class Classification:
    """`permanent`: trying again would end the same. `why`: what it was read from, for people."""

    klass: Class
    scope: Scope
    permanent: bool
    why: str

    @property
    def ends_recipient(self) -> bool:
        """Whether mail to this address is over: a permanent failure, and of the address itself."""
        return self.permanent and self.scope is Scope.RECIPIENT


def classify(reply: Reply) -> Classification:
    """The meaning of a reply, whoever spoke; of Postfix's own words, by the status it gave them."""
    first = str(reply.code)[0] if reply.code else reply.enhanced[:1]
    klass = _CLASSES.get(first, Class.NONE)
    scope, only_temporary, why = _by_codes(reply)
    if klass in (Class.TEMPORARY, Class.PERMANENT):
        found = _sign(reply.text, scope)
        if found is not None:
            sign, word = found
            if sign.scope is not scope:
                only_temporary = sign.scope is Scope.CAPACITY
            scope, why = sign.scope, f"the words {word!r} over {why}"
    if reply.speaker is not Speaker.RECEIVER and scope is Scope.REPUTATION:
        # Nobody judged us: a name of ours or of a host may hold such a word.
        scope = Scope.NETWORK
    permanent = klass is Class.PERMANENT and not only_temporary
    return Classification(klass, scope, permanent, why)


def _by_codes(reply: Reply) -> tuple[Scope, bool, str]:
    tables = meanings()
    _, _, detail = reply.enhanced.partition(".")
    status = tables.codes.get(detail)
    if status is not None and status.scope is not Scope.UNKNOWN:
        return status.scope, status.only_temporary, f"{status.code} {status.summary}"
    if detail and status is None:
        scope = tables.subjects.get(detail.partition(".")[0], Scope.UNKNOWN)
        if scope is not Scope.UNKNOWN:
            return scope, False, f"{reply.enhanced}, which is not registered, by its subject"
    basic = tables.basic.get(reply.code, Scope.UNKNOWN)
    named = f"reply code {reply.code}" if reply.code else "no reply code"
    return basic, basic is Scope.CAPACITY, named


def _sign(text: str, scope: Scope) -> tuple[Sign, str] | None:
    words = _ADDRESS.sub(" ", text).lower()
    for sign in meanings().signs:
        if scope in sign.overrules or scope is sign.scope:
            for word in sign.words:
                if word in words:
                    return sign, word
    return None
