"""Why does a mailbox or a message send now, or not? Pure, from the code that decides.

Every state and limit that applies becomes a fact: its value, whether it stops mail now, since when
and on what evidence, what would change it, and when it changes by itself. Facts come widest first;
the verdict is the first one that stops.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from controller.planner.boxes import Box
from controller.planner.budgets import Budgets
from controller.planner.calendar import HOUR, hour_of
from controller.planner.limits import (
    UNLIMITED,
    Account,
    Limit,
    accounts_of_curves,
    accounts_of_sender,
    accounts_toward,
)

_SETTINGS = {
    Limit.MAILBOX_HOUR: "fleet.limits.mailbox_per_hour",
    Limit.MAILBOX_DAY: "fleet.limits.mailbox_per_day",
    Limit.EGRESS_HOUR: "fleet.limits.egress_per_hour",
    Limit.EGRESS_DAY: "fleet.limits.egress_per_day",
    Limit.DOMAIN_DAY: "fleet.limits.domain_per_day",
    Limit.MAILBOX_PROVIDER_DAY: "days with mail to it; fleet.warm_up.providers",
    Limit.EGRESS_PROVIDER_DAY: "days with mail to it; fleet.warm_up.providers",
    Limit.DOMAIN_PROVIDER_HOUR: "quiet hours: the rate doubles with each",
    Limit.DOMAIN_PROVIDER_DAY: "fleet.limits.domain_provider_per_day",
    Limit.PROVIDER_EGRESS_HOUR: "fleet.limits.provider_egress_per_hour",
    Limit.CAMPAIGN_HOUR: "burst_per_hour in the campaign file",
    Limit.CLIENT_DAY: "clients[].per_day, fleet.limits.client_per_day",
}


@dataclass(frozen=True, slots=True)
class Fact:
    """What applies. `binds`: it stops mail now. `until`: when that ends by itself."""

    name: str
    value: str
    binds: bool = False
    since: datetime | None = None
    until: datetime | None = None
    evidence: str = ""
    change: str = ""


@dataclass(frozen=True, slots=True)
class Stop:
    """A suspension that applies."""

    scope: str
    subject: str
    source: str
    reason: str
    since: datetime
    until: datetime | None


@dataclass(frozen=True, slots=True)
class Situation:
    """A mailbox with all that applies to it. `states`: (kind, id, state, more words).

    `special`: why an account's cap differs from the fleet's. `waiting`: what waits for it, in
    words, or '' for nothing. `node`: the node that has its egress, in words, or ''.
    `internal`: what of a warm-up keeps its client's mail from it, in words, or '';
    `internal_binds`: such mail is asked about, or it has nobody to write to.
    """

    box: Box
    now: datetime
    budgets: Budgets
    states: Sequence[tuple[str, str, str, str]] = ()
    stops: Sequence[Stop] = ()
    providers: Sequence[str] = ()
    special: dict[tuple[Limit, str], str] = field(default_factory=dict)
    waiting: str = ""
    node: str = ""
    internal: str = ""
    internal_binds: bool = False


def why_mailbox(of: Situation) -> list[Fact]:
    """Everything that applies to a mailbox."""
    day, hour = of.box.week.day_of(of.now), hour_of(of.now)
    accounts = accounts_of_sender(of.box.sender, day.date, hour)
    facts = [*_states(of), *_suspensions(of)]
    if of.internal:
        facts.append(Fact("internal days", of.internal, binds=of.internal_binds,
                          change="days with real mail; fleet.warm_up.internal_days"))  # fmt: skip
    facts += [_limit(of, each) for each in accounts]
    for provider in of.providers:
        toward = accounts_toward(of.box.sender, provider, day.date, hour)
        if provider in of.budgets.curved:
            toward += accounts_of_curves(of.box.sender, provider, day.date)
        # One full provider does not stop a mailbox, but where it is the only one asked about.
        alone = len(of.providers) == 1
        facts += [_limit(of, each, alone) for each in toward if of.budgets.cap(each) < UNLIMITED]
    facts += [_window(of), _slot(of)]
    facts.append(Fact("node", of.node or "its egress is on no node", binds=not of.node,
                      change="" if of.node else "postfleet shard list, node list"))  # fmt: skip
    facts.append(Fact("waiting", of.waiting or "no message waits for it", binds=not of.waiting))
    return facts


def verdict(facts: Iterable[Fact], subject: str) -> str:
    """The first fact that stops it, in a sentence."""
    for fact in facts:
        if fact.binds:
            until = f", until {fact.until:%Y-%m-%d %H:%M} UTC" if fact.until else ""
            return f"{subject} waits: {fact.name}: {fact.value}{until}"
    return f"nothing stops {subject}"


def _states(of: Situation) -> Iterator[Fact]:
    for kind, id_, state, more in of.states:
        sends = state in ("active", "warming")
        words = f"{id_} is {state}" + (f": {more}" if more else "")
        change = "days with real mail, one at a time" if state == "warming" else ""
        yield Fact(f"{kind} state", words, binds=not sends, change=change)


def _suspensions(of: Situation) -> Iterator[Fact]:
    if not of.stops:
        yield Fact("suspensions", "none")
    for stop in of.stops:
        undo = f"postfleet {stop.scope} release {stop.subject}" if stop.source == "operator" else ""
        yield Fact(
            "suspension",
            f"{stop.scope} {stop.subject} is suspended by {stop.source}: {stop.reason}",
            binds=True,
            since=stop.since,
            until=stop.until,
            evidence=f"audit log of {stop.scope}/{stop.subject}",
            change=undo or f"{stop.source} lifts it",
        )


def _limit(of: Situation, account: Account, alone: bool = True) -> Fact:
    budgets = of.budgets
    cap, used, left = budgets.cap(account), budgets.used(account), budgets.left(account)
    if cap >= UNLIMITED:
        return Fact(account.limit, f"no limit; {used:,} used")
    special = of.special.get((account.limit, account.subject), "")
    where = account.subject.replace("/", " × ")
    slot = of.box.slot
    held = slot.held == budgets.words(account)
    return Fact(
        account.limit,
        f"{where}: {used:,} of {cap:,} used, {left:,} left",
        binds=left == 0 and alone,
        since=slot.held_since if held else None,
        until=_ends(of, account) if left == 0 else None,
        evidence=special or "the ledger",
        change=(special and "see its evidence") or _SETTINGS[account.limit],
    )


def _ends(of: Situation, account: Account) -> datetime:
    over = hour_of(of.now) + HOUR if account.is_hour else of.box.week.day_of(of.now).end
    return min(over, of.budgets.changes_at(account) or over)


def _window(of: Situation) -> Fact:
    week = of.box.week
    if not week.windows:
        return Fact("window", f"always open ({week.zone.key})", change="windows in the inventory")
    opens = week.next_open(of.now)
    spans = week.open_on(week.day_of(of.now), of.now)
    is_open = opens == of.now
    words = f"open until {spans[0].end.astimezone(week.zone):%H:%M}" if is_open else "closed"
    return Fact(
        "window",
        f"{words} ({week.zone.key})",
        binds=not is_open,
        until=spans[0].end if is_open else opens,
        change="windows in the inventory",
    )


def _slot(of: Situation) -> Fact:
    slot = of.box.slot
    last = f"; last used {slot.slot_at:%Y-%m-%d %H:%M:%S} UTC" if slot.slot_at else "; never used"
    if slot.due_at is None:
        return Fact("slot", f"is to be drawn{last}", change="the planner's next round")
    due = slot.due_at <= of.now + timedelta(seconds=1)
    words = "due now" if due else f"due at {slot.due_at:%Y-%m-%d %H:%M:%S} UTC"
    return Fact("slot", words + last, binds=not due, since=slot.slot_at, until=slot.due_at,
                change="fleet.pacing in the inventory")  # fmt: skip
