"""Holds the ledger in PostgreSQL against what receivers got, by mailbox, egress and day. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import date

from lab.chaos.facts import Caps
from lab.demo.compare import token
from lab.receivers.decide import untagged
from lab.receivers.records import KEPT, Record


def exceeded(caps: Caps, records: Iterable[Record], egress_of: Mapping[str, str]) -> list[str]:
    """Each mailbox or egress and day on which receivers got more than the cap, or than was charged.

    What receivers got counts on the day that the message was charged to, one for each copy.
    `egress_of` is by mailbox.
    """
    got: Counter[tuple[str, str, date]] = Counter()
    unplanned = 0
    for record in records:
        if record.kind not in KEPT:
            continue
        day = caps.charged.get(token(record.sender))
        if day is None:
            unplanned += 1
            continue
        mailbox = untagged(record.sender)
        got["mailbox", mailbox, day] += 1
        got["egress", egress_of.get(mailbox, ""), day] += 1
    found = [f"{unplanned} messages came that were charged to no day"] if unplanned else []
    for (scope, subject, day), count in sorted(got.items()):
        used, most = caps.used.get((scope, subject, day), 0), caps.most[scope]
        if count > most:
            found.append(f"{scope} {subject} on {day}: receivers got {count}, its cap is {most}")
        elif count > used:
            found.append(f"{scope} {subject} on {day}: receivers got {count}, charged were {used}")
    for (scope, subject, day), used in sorted(caps.used.items()):
        if used > caps.most[scope]:
            found.append(
                f"{scope} {subject} on {day}: {used} charged, its cap is {caps.most[scope]}"
            )
    return found
