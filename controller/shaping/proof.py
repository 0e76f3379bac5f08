"""Proves a rule book by its own samples. Pure.

- Every sample, said by each provider of its rule, fires that rule, *through all layers*: it is not
  enough that the rule would match where an earlier one speaks first. That is what "no rule is
  shadowed" means here: for each rule there are real words that reach it.
- No near miss fires its rule.
- A rule whose every reply an earlier one takes is told as such: when the earlier asks for nothing
  that the later does not ask for too. This is found without samples, and only where it is certain.
- Our own gateway's greeting fires nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

from controller.replies import Reply, Speaker, read_reply
from controller.shaping.book import Placed, RuleBook
from controller.shaping.rule import Rule
from inventory.errors import Problem

# What rules without a provider are proved with: a receiver that is in no table.
SOMEBODY = "mx.example.net"
_OURS = "postfleet: px001 target-connect: connection refused"


def problems(book: RuleBook) -> list[Problem]:
    """Everything that is wrong with it, in the order of the rules; empty: it is proved."""
    found: list[Problem] = []
    for place, placed in enumerate(book.rules):
        words = [*_samples(book, placed), *_near_misses(placed.rule), *_ours(placed.rule)]
        for earlier in book.rules[:place]:
            if covers(earlier.rule, placed.rule):
                words.append(f"never speaks: {_named(earlier)} takes all that it asks for")
        found += [Problem(placed.file, placed.line, placed.rule.name, "", each) for each in words]
    return found


def _samples(book: RuleBook, placed: Placed) -> Iterator[str]:
    rule = placed.rule
    for sample in rule.samples:
        reply = read_reply(sample)
        if reply.speaker is Speaker.GATEWAY:
            yield f"the sample {sample[:60]!r} is our own gateway's greeting"
            continue
        for provider in rule.provider or (SOMEBODY,):
            if not rule.fires(reply, provider):
                yield f"its sample does not fire it: {sample!r}"
                break
            first = book.first(reply, provider)
            if first is not rule:
                other = next(p for p in book.rules if p.rule is first)
                yield f"its sample from {provider} meets {_named(other)} first: {sample!r}"
                break


def _near_misses(rule: Rule) -> Iterator[str]:
    for miss in rule.near_misses:
        reply = read_reply(miss)
        if any(rule.fires(reply, provider) for provider in rule.provider or (SOMEBODY,)):
            yield f"its near miss fires it: {miss!r}"


def _ours(rule: Rule) -> Iterator[str]:
    for provider in rule.provider or (SOMEBODY,):
        # Told from a receiver's by its speaker; and not only by that, should the reader be wrong.
        said = Reply(Speaker.GATEWAY, 421, "4.3.2", _OURS)
        if rule.fires(said, provider) or rule.fires(
            Reply(Speaker.RECEIVER, 421, "4.3.2", _OURS), provider
        ):
            yield "it fires on our own gateway's greeting"
            return


def covers(earlier: Rule, later: Rule) -> bool:
    """Whether every reply that fires `later` surely fires `earlier`. Not the converse: two patterns
    that mean the same and are written differently are not seen."""
    return (
        (
            not earlier.provider
            or (bool(later.provider) and set(later.provider) <= set(earlier.provider))
        )
        and (not earlier.code or (bool(later.code) and set(later.code) <= set(earlier.code)))
        and (not earlier.enhanced or (bool(later.enhanced) and _all_among(later, earlier)))
        and earlier.text in ("", later.text)
    )


def _all_among(later: Rule, earlier: Rule) -> bool:
    return all(
        each in earlier.enhanced or f"{each.rpartition('.')[0]}.*" in earlier.enhanced
        for each in later.enhanced
    )


def _named(placed: Placed) -> str:
    where = f"{placed.file}:{placed.line}" if placed.line else placed.file
    return f"rule {placed.rule.name} ({where})"
