"""One shaping rule: what it matches, what it does, and the replies that prove it.

The docstring below a field is its reference documentation (docs/reference/shaping.md). Patterns are
RE2's: its matching takes time in proportion to the text, whatever the pattern, so that no rule and
no receiver can hold the controller up. This is the only home of that library.
"""

from __future__ import annotations

from datetime import timedelta
from functools import cached_property
from typing import Annotated, Any, Literal

import re2
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator

from controller.replies import Reply, Speaker

_UNITS = {"s": 1, "min": 60, "h": 3600, "d": 86_400}
# Compiled patterns are small; a repetition that would unfold into megabytes is refused.
_MOST_PATTERN_OCTETS = 256 * 1024

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,47}$")]
Line = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]{1,1000}$")]
Status = Annotated[str, StringConstraints(pattern=r"^[45]\.\d{1,3}\.(\d{1,3}|\*)$")]
Length = Annotated[str, StringConstraints(pattern=r"^[1-9]\d{0,3}(s|min|h|d)$")]
Scope = Literal["provider-egress", "provider-domain", "egress", "domain", "mailbox"]
PAIRS = ("provider-egress", "provider-domain")


class Rule(BaseModel):
    """All conditions that a rule names must hold; one that it does not name always does."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    name: Name
    """Unique in its file. In an operator's file, the name of a shipped rule replaces that rule."""

    provider: tuple[str, ...] = ()
    """Whose MX answered: names of the provider table (`google`); none: anybody's."""

    code: tuple[Annotated[int, Field(ge=400, le=599)], ...] = ()
    """SMTP reply codes, such as 421; none: any refusal."""

    enhanced: tuple[Status, ...] = ()
    """Enhanced status codes, such as `4.7.28`; `4.7.*` is every detail of that subject."""

    text: str = ""
    """What must stand somewhere in the reply: a pattern of RE2, capital letters or not, over the
    whole reply as one line without its codes, at most 1,000 characters of it."""

    action: Literal["slow", "suspend", "bounce", "nothing"]
    """`slow`: at most `per_hour`. `suspend`: nothing for the time `for`. `bounce`: the receiver
    means it for good, whatever the code says; the message ends. `nothing`: no reason to do
    anything, and it does not count towards the circuit breaker either (greylisting, a full
    mailbox)."""

    scope: Scope = "provider-egress"
    """What is slowed or suspended: a pair, or an egress, domain or mailbox towards everybody."""

    per_hour: Annotated[int, Field(ge=1, le=100_000)] | None = None
    """With `slow`: messages an hour. Doubles after every hour without another such reply."""

    for_: Annotated[Length | None, Field(alias="for")] = None
    """With `suspend`: how long, in `s`, `min`, `h` or `d`. What follows starts slowly."""

    why: Line
    """What the receiver means, for those who read the audit log."""

    source: tuple[Line, ...] = Field(min_length=1)
    """Where these words were seen or are documented."""

    samples: tuple[Line, ...] = Field(min_length=1)
    """Replies (`421 4.7.28 …`) that must fire this rule, and reach it through all layers."""

    near_misses: tuple[Line, ...] = Field(min_length=1)
    """Replies that resemble them and must not fire it."""

    @field_validator("text")
    @classmethod
    def _compiles(cls, text: str) -> str:
        compiled(text)
        return text

    def model_post_init(self, _: Any) -> None:
        """Holds together what belongs together. Raises ValueError."""
        if (self.per_hour is not None) != (self.action == "slow"):
            raise ValueError("per_hour and action = 'slow' belong together")
        if (self.for_ is not None) != (self.action == "suspend"):
            raise ValueError("for and action = 'suspend' belong together")
        if self.action == "slow" and self.scope not in PAIRS:
            raise ValueError(f"slow: scope must be {' or '.join(PAIRS)}")
        if not (self.code or self.enhanced or self.text):
            raise ValueError("it names no code, enhanced or text, and so would match every reply")

    @cached_property
    def length(self) -> timedelta:
        """Of a suspension; zero for other actions."""
        if self.for_ is None:
            return timedelta()
        digits = self.for_.rstrip("smindh")
        return timedelta(seconds=int(digits) * _UNITS[self.for_[len(digits) :]])

    @cached_property
    def _pattern(self) -> Any:
        return compiled(self.text)

    def fires(self, reply: Reply, provider: str) -> bool:
        """Whether these words of that provider's are meant. Only refusals of receivers are."""
        return (
            reply.speaker is Speaker.RECEIVER
            and reply.code >= 400
            and (not self.provider or provider in self.provider)
            and (not self.code or reply.code in self.code)
            and (not self.enhanced or _is_among(reply.enhanced, self.enhanced))
            and (not self.text or self._pattern.search(reply.text) is not None)
        )

    @property
    def does(self) -> str:
        """The action in words."""
        match self.action:
            case "slow":
                return f"slow {self.scope} to {self.per_hour:,} messages an hour"
            case "suspend":
                return f"suspend {self.scope} for {self.for_}"
            case "bounce":
                return "end the message as bounced"
            case _:
                return "nothing"


def _is_among(enhanced: str, wanted: tuple[str, ...]) -> bool:
    subject = enhanced.rpartition(".")[0]
    return any(each == enhanced or each == f"{subject}.*" for each in wanted)


def compiled(text: str) -> Any:
    """The pattern. Raises ValueError where RE2 does not take it (look-ahead, back-references)."""
    options = re2.Options()
    options.case_sensitive = False
    options.log_errors = False
    options.max_mem = _MOST_PATTERN_OCTETS
    try:
        return re2.compile(text, options)
    except re2.error as error:
        words = error.args[0]
        said = words.decode() if isinstance(words, bytes) else str(words)
        raise ValueError(f"not a pattern of RE2: {said}") from None
