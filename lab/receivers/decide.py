"""What a receiver answers: rules, what it remembers, and the time in; an answer out. No I/O.

`Memory` is what the rules need to know of the past (greylist triplets, rates, attempts); `decide`
is the only thing that writes to it.
"""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import dataclass, field

from lab.receivers.replies import Reply, reply_named
from lab.receivers.rules import (
    Accept,
    Answer,
    Complaint,
    Drop,
    Greylist,
    LateDsn,
    Rate,
    Rule,
    Rules,
    Stage,
    Stall,
)


@dataclass(frozen=True)
class Transaction:
    """What is known of the transaction so far; what is not known yet is ''."""

    provider: str
    source: str
    sender: str = ""
    recipient: str = ""


@dataclass(frozen=True)
class Cut:
    """Cut the connection. `after_bytes` of content in mid-DATA; at the dot `keep` records it."""

    after_bytes: int
    keep: bool


@dataclass(frozen=True)
class Decision:
    """Wait `stall_s`, then give `answer`: a reply, a cut, or None for yes. `why` names the rule."""

    stall_s: float = 0.0
    answer: Reply | Cut | None = None
    why: str = "accept"


@dataclass
class Memory:
    """What one provider remembers. Times are the caller's clock, in seconds."""

    first_seen: dict[tuple[str, str, str], float] = field(default_factory=dict)
    recent: dict[str, deque[float]] = field(default_factory=lambda: defaultdict(deque))
    attempts: dict[tuple[int, str, str], int] = field(default_factory=lambda: defaultdict(int))


def untagged(address: str) -> str:
    """The address without its +tag, lower case: greylists must not see each VERP tag as new."""
    local, at, domain = address.lower().rpartition("@")
    return local.partition("+")[0] + at + domain


def decide(
    rules: Rules, stage: Stage, transaction: Transaction, memory: Memory, now: float
) -> Decision:
    """The answer at this stage."""
    stall_s = 0.0
    t = transaction
    for number, rule in enumerate(rules.rules):
        if not rule.matches(t.provider, t.source, t.sender, t.recipient):
            continue
        if isinstance(rule.action, Accept):
            break
        if isinstance(rule.action, Stall):
            stall_s += rule.action.seconds if rule.action.stage == stage else 0.0
            continue
        answer = _answer(number, rule, stage, transaction, memory, now)
        if answer is not None:
            return Decision(stall_s, answer, rule.action.kind)
    return Decision(stall_s)


def _answer(
    number: int, rule: Rule, stage: Stage, t: Transaction, memory: Memory, now: float
) -> Reply | Cut | None:
    action = rule.action
    if isinstance(action, Answer) and action.stage == stage:
        return reply_named(action.reply) if _due(number, action.times, t, memory) else None
    if isinstance(action, Drop) and action.stage == stage:
        due = _due(number, action.times, t, memory)
        return Cut(action.after_bytes, action.keep and stage == "dot") if due else None
    if isinstance(action, Greylist) and stage == "rcpt":
        triplet = (t.source, untagged(t.sender), t.recipient.lower())
        first = memory.first_seen.setdefault(triplet, now)
        return reply_named(action.reply) if now - first < action.delay_s else None
    if isinstance(action, Rate) and stage == "rcpt":
        return _rate(action, t, memory, now)
    return None


def _due(number: int, times: int | None, t: Transaction, memory: Memory) -> bool:
    """Whether a rule limited to its first `times` attempts still speaks; counts this attempt."""
    if times is None:
        return True
    key = (number, t.sender.lower(), t.recipient.lower())
    memory.attempts[key] += 1
    return memory.attempts[key] <= times


def _rate(action: Rate, t: Transaction, memory: Memory, now: float) -> Reply | None:
    times = memory.recent[t.source]
    while times and now - times[0] >= action.per_s:
        times.popleft()
    if len(times) >= action.messages:
        return reply_named(action.reply)
    times.append(now)
    return None


def follow_ups(rules: Rules, transaction: Transaction) -> list[LateDsn | Complaint]:
    """What is sent back later about a message that was accepted."""
    t = transaction
    return [
        rule.action
        for rule in rules.rules
        if isinstance(rule.action, LateDsn | Complaint)
        and rule.matches(t.provider, t.source, t.sender, t.recipient)
    ]
