"""The rules file: how the receivers answer. JSON, checked as a whole, replaced while they run.

    {"rules": [{"recipient": "grey-*@google.test", "action": {"kind": "greylist", "delay_s": 20}}]}

Rules are tried in order; one whose action has nothing to say at a stage lets the next one speak,
and where none speaks the answer is yes. Deciding is `lab.receivers.decide`.
"""

from __future__ import annotations

import fnmatch
import json
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from lab.receivers.errors import RulesError
from lab.receivers.replies import reply_named

Stage = Literal["connect", "mail", "rcpt", "data", "dot"]


def _known_reply(text: str) -> str:
    try:
        reply_named(text)
    except RulesError as error:
        raise ValueError(str(error)) from error
    return text


ReplyText = Annotated[str, AfterValidator(_known_reply)]
Seconds = Annotated[float, Field(ge=0, le=86_400)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Accept(_Model):
    """Says yes, and no later rule is asked."""

    kind: Literal["accept"]


class Answer(_Model):
    """Answers with a reply; with `times` only the first attempts of a sender-recipient pair."""

    kind: Literal["reply"]
    reply: ReplyText
    stage: Literal["connect", "mail", "rcpt", "dot"] = "rcpt"
    times: Annotated[int, Field(ge=1)] | None = None


class Greylist(_Model):
    """Defers a new (source, sender, recipient) until `delay_s` after it was first seen."""

    kind: Literal["greylist"]
    delay_s: Seconds = 20
    reply: ReplyText = "greylisted"


class Rate(_Model):
    """Defers what exceeds `messages` in `per_s` seconds from one source address."""

    kind: Literal["rate"]
    messages: Annotated[int, Field(ge=1)]
    per_s: Annotated[float, Field(gt=0)]
    reply: ReplyText


class Stall(_Model):
    """Waits before answering at that stage, then lets the other rules speak."""

    kind: Literal["stall"]
    stage: Stage = "dot"
    seconds: Seconds


class Drop(_Model):
    """Cuts the connection: in mid-DATA after `after_bytes`, or after the final dot without a reply.

    At the dot `keep` says whether the message was taken (recorded as `unanswered`) all the same.
    """

    kind: Literal["drop"]
    stage: Literal["data", "dot"]
    after_bytes: Annotated[int, Field(ge=0)] = 100
    keep: bool = True
    times: Annotated[int, Field(ge=1)] | None = None


class LateDsn(_Model):
    """Accepts, and returns a delivery status notification (RFC 3464) after `delay_s`."""

    kind: Literal["late-dsn"]
    delay_s: Seconds = 5
    status: Annotated[str, Field(pattern=r"^[45]\.\d{1,3}\.\d{1,3}$")] = "5.1.1"
    text: str = "user unknown"


class Complaint(_Model):
    """Accepts, and sends an abuse report (ARF, RFC 5965) after `delay_s`."""

    kind: Literal["complaint"]
    delay_s: Seconds = 5


Action = Annotated[
    Accept | Answer | Greylist | Rate | Stall | Drop | LateDsn | Complaint,
    Field(discriminator="kind"),
]


class Rule(_Model):
    """What it applies to (shell patterns, case ignored; absent: everything), and what happens."""

    provider: str = "*"
    source: str = "*"
    sender: str = "*"
    recipient: str = "*"
    action: Action

    def matches(self, provider: str, source: str, sender: str, recipient: str) -> bool:
        """Whether the rule speaks about this transaction; unknown parts are passed as ''.

        A part that is not known yet matches only the pattern `*`.
        """
        pairs = (
            (self.provider, provider),
            (self.source, source),
            (self.sender, sender),
            (self.recipient, recipient),
        )
        return all(fnmatch.fnmatchcase(value.lower(), p.lower()) for p, value in pairs)


class Rules(_Model):
    """All rules, in the order in which they are asked."""

    rules: tuple[Rule, ...] = ()


def read_rules(path: Path) -> Rules:
    """The rules in the file. Raises RulesError naming the file and every fault in it."""
    try:
        return Rules.model_validate(json.loads(path.read_text()))
    except (OSError, json.JSONDecodeError, ValidationError) as error:
        raise RulesError(f"rules file {path}: {error}") from error


def write_rules(path: Path, rules: Rules) -> None:
    """Puts the file in place at once, so that a reader never sees half of it."""
    fresh = path.with_suffix(".new")
    fresh.write_text(rules.model_dump_json(indent=1))
    fresh.rename(path)
