"""What follows from receivers' words: stops, slow-downs, breakers; as in `controller.throttle`.

The decisions are its pure ones (pace, breaker); what `throttle.follow`, `throttle.run` and the view
`rate_limit` keep in PostgreSQL is kept in dictionaries here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from controller.planner.limits import Limit, Sender
from controller.shaping.rule import PAIRS, Rule
from controller.simulation.words import Word
from controller.throttle.breaker import Breaker, Position, accepted, refused
from controller.throttle.pace import START_PER_HOUR, Slowed, is_free, rate, slower, starting

_SHAPING, _BREAKER, _HEALTH = "shaping", "breaker", "health"
# Health ends its stops itself, in the morning after their time.
_MORNING = timedelta(days=2)
Subject = tuple[str, str]
"""Scope and subject; of a pair `provider/…`."""
_LIMIT_OF = {
    "provider-egress": Limit.PROVIDER_EGRESS_HOUR,
    "provider-domain": Limit.DOMAIN_PROVIDER_HOUR,
}


@dataclass(frozen=True, slots=True)
class Pause:
    """A stop: `begins`, or is made longer."""

    at: datetime
    scope: str
    subject: str
    until: datetime
    why: str
    begins: bool


def pairs_of(provider: str, sender: Sender) -> tuple[Subject, Subject]:
    """The two pairs that a message to a provider is of."""
    return (
        ("provider-egress", f"{provider}/{sender.egress_id}"),
        ("provider-domain", f"{provider}/{sender.domain}"),
    )


class Stops:
    """What is stopped, by whom (a shaping rule, a breaker) and until when."""

    def __init__(self) -> None:
        self._stops: dict[Subject, dict[str, datetime]] = {}

    def __bool__(self) -> bool:
        return bool(self._stops)

    def until(self, subject: Subject) -> datetime | None:
        """When the last of its stops ends; None: there is none."""
        stops = self._stops.get(subject)
        return max(stops.values()) if stops else None

    def any_of(self, subjects: Iterable[Subject], at: datetime) -> bool:
        """Whether one of these is stopped at that instant."""
        for subject in subjects:
            if subject in self._stops:
                until = self.until(subject)
                if until is not None and at < until:
                    return True
        return False

    def pairs(self, now: datetime) -> Iterator[tuple[Subject, datetime]]:
        """Stopped pairs and until when."""
        for subject in self._stops:
            until = self.until(subject)
            if subject[0] in PAIRS and until is not None and now < until:
                yield subject, until

    def begin(self, subject: Subject, source: str, at: datetime, until: datetime) -> bool:
        """Stops it; whether this source had not stopped it already. A longer stop stays as long."""
        stops = self._stops.setdefault(subject, {})
        held = stops.get(source)
        stops[source] = max(held, until) if held else until
        return held is None or held <= at

    def end(self, subject: Subject, source: str) -> None:
        """Ends what this source stopped."""
        stops = self._stops.get(subject, {})
        stops.pop(source, None)
        if not stops:
            self._stops.pop(subject, None)

    def forget(self, now: datetime) -> None:
        """Ends what is over."""
        for subject, stops in list(self._stops.items()):
            for source, until in list(stops.items()):
                if until <= now:
                    self.end(subject, source)


class Responses:
    """`on_pause` hears of each stop that begins or grows, and `on_release` of each that ends before
    its time."""

    def __init__(
        self, on_pause: Callable[[Pause], None], on_release: Callable[[Subject, datetime], None]
    ) -> None:
        self._on_pause = on_pause
        self._on_release = on_release
        self.stops = Stops()
        self.slowed: dict[Subject, Slowed] = {}
        self.breakers: dict[Subject, Breaker] = {}

    def may_go(self, provider: str, sender: Sender, at: datetime) -> bool:
        """Whether dispatch would let a message go; one that tries a half-open breaker may."""
        return not self.stops.any_of((*pairs_of(provider, sender), *_whole(sender)), at)

    def is_stopped(self, sender: Sender, at: datetime) -> bool:
        """Whether a mailbox may send to nobody at all."""
        return self.stops.any_of(_whole(sender), at)

    def refused(self, word: Word, provider: str, sender: Sender, at: datetime, first: bool) -> None:
        """A receiver refused a message. `first`: it is its first word about that message."""
        if word.rule is not None:
            self._follow(word.rule, provider, sender, at)
        if not first or not word.against_sender:
            return
        for pair in pairs_of(provider, sender):
            before = self.breakers.get(pair) or Breaker(at)
            after = refused(before, at)
            self.breakers[pair] = after
            if after is not before and after.position is Position.OPEN and after.until:
                self._stop(pair, _BREAKER, at, after.until, f"refused in a row: {word.why}")
                start = starting(self.slowed.get(pair), START_PER_HOUR, after.until, at)
                self.slowed[pair] = start

    def taken(self, provider: str, sender: Sender, at: datetime) -> None:
        """A receiver took a message."""
        if not self.breakers:
            return
        for pair in pairs_of(provider, sender):
            breaker = self.breakers.get(pair)
            if breaker is None:
                continue
            after = accepted(breaker, at)
            if breaker.position is Position.OPEN:
                self.stops.end(pair, _BREAKER)
                self._on_release(pair, self.stops.until(pair) or at)
            self.breakers[pair] = after

    def stop_for_health(self, subject: Subject, at: datetime, until: datetime, why: str) -> None:
        """Until `return_to_health`, which comes in the morning after `until`."""
        begins = self.stops.begin(subject, _HEALTH, at, until + _MORNING)
        self._on_pause(Pause(at, *subject, until, why, begins))

    def return_to_health(self, subject: Subject, at: datetime) -> None:
        """Health lets it send again."""
        self.stops.end(subject, _HEALTH)
        self._on_release(subject, self.stops.until(subject) or at)

    def caps(
        self, now: datetime, usual: int
    ) -> tuple[dict[tuple[Limit, str], int], dict[tuple[Limit, str], datetime]]:
        """What receivers admit an hour now, as special caps of the planner, and when that becomes
        another by itself. `usual`: what an egress may send a provider in an hour."""
        caps: dict[tuple[Limit, str], int] = {}
        changes: dict[tuple[Limit, str], datetime] = {}
        for pair, slowed in self.slowed.items():
            caps[_key(pair)] = min(int(rate(slowed, now)), usual)
        for pair, until in self.stops.pairs(now):
            caps[_key(pair)] = 0
            changes[_key(pair)] = until
        return caps, changes

    def recover(self, now: datetime, free_per_hour: float) -> None:
        """Ends what is over, as `throttle.recovery` does."""
        self.stops.forget(now)
        for pair in [p for p, s in self.slowed.items() if is_free(s, now, free_per_hour)]:
            del self.slowed[pair]
        for pair in [p for p, b in self.breakers.items() if b.is_plain(now)]:
            del self.breakers[pair]

    def _follow(self, rule: Rule, provider: str, sender: Sender, at: datetime) -> None:
        if rule.action not in ("slow", "suspend"):
            return
        subject = (rule.scope, _subject(rule.scope, provider, sender))
        before = self.slowed.get(subject)
        if rule.action == "slow":
            self.slowed[subject] = slower(before, float(rule.per_hour or 1), at)
            return
        until = at + rule.length
        self._stop(subject, _SHAPING, at, until, f"{rule.name}: {rule.why}")
        if rule.scope in PAIRS:
            self.slowed[subject] = starting(before, START_PER_HOUR, until, at)

    def _stop(self, subject: Subject, source: str, at: datetime, until: datetime, why: str) -> None:
        begins = self.stops.begin(subject, source, at, until)
        self._on_pause(Pause(at, *subject, self.stops.until(subject) or until, why, begins))


def _whole(sender: Sender) -> tuple[Subject, ...]:
    return (("egress", sender.egress_id), ("domain", sender.domain), ("mailbox", sender.mailbox))


def _key(pair: Subject) -> tuple[Limit, str]:
    """The account's: the planner writes domain/provider where a pair is provider/domain."""
    scope, subject = pair
    if scope == "provider-egress":
        return _LIMIT_OF[scope], subject
    provider, _, domain = subject.partition("/")
    return _LIMIT_OF[scope], f"{domain}/{provider}"


def _subject(scope: str, provider: str, sender: Sender) -> str:
    match scope:
        case "provider-egress":
            return f"{provider}/{sender.egress_id}"
        case "provider-domain":
            return f"{provider}/{sender.domain}"
        case "egress":
            return sender.egress_id
        case "domain":
            return sender.domain
        case _:
            return sender.mailbox
