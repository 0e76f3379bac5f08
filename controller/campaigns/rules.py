"""What only the whole campaign file can show. Pure; works on plain data, whatever shape it has.

Follow-ups make one chain: the first message, the one after it, and so on. What refers to itself
through others, or twice to one, is told with all names.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from inventory.errors import Finding, Path
from inventory.suggest import did_you_mean

FIRST = "first"
"""What `after` calls the first message."""


def violations(data: dict[str, Any]) -> list[Finding]:
    """What is wrong with it beyond its single fields."""
    return [
        *_letter(data, (), needed=True),
        *(
            found
            for number, each in _follow_ups(data)
            for found in _letter(each, ("follow_ups", number), needed=True)
        ),
        *_zones(data),
        *_pool(data),
        *_chain(data),
    ]


def chain(data: dict[str, Any]) -> list[int]:
    """The follow-ups' numbers in the order in which they are sent, as far as they make a chain."""
    followers = {after: number for number, after in _predecessors(data) if after is not None}
    order, last = [], -1
    while last in followers and followers[last] not in order:
        last = followers[last]
        order.append(last)
    return order


def _follow_ups(data: dict[str, Any]) -> Iterator[tuple[int, dict[str, Any]]]:
    listed = data.get("follow_ups")
    for number, each in enumerate(listed if isinstance(listed, list) else ()):
        if isinstance(each, dict):
            yield number, each


def _letter(letter: dict[str, Any], path: Path, needed: bool) -> Iterator[Finding]:
    for part in ("text", "html"):
        if part in letter and f"{part}_file" in letter:
            words = f"stands beside {part}; write one of the two"
            yield Finding((*path, f"{part}_file"), letter[f"{part}_file"], words)
    if needed and "text" not in letter and "text_file" not in letter:
        words = "is required, as text or text_file: who reads no HTML sees it"
        yield Finding((*path, "text"), None, words)


def _zones(data: dict[str, Any]) -> Iterator[Finding]:
    recipients = data.get("recipients")
    windows = data.get("windows")
    if windows and "time_zone" not in data:
        yield Finding(("time_zone",), None, "is required where there are windows")
    if not windows and isinstance(recipients, dict) and "time_zone" in recipients:
        path = ("recipients", "time_zone")
        words = "has no meaning without windows"
        yield Finding(path, recipients["time_zone"], words)


def _pool(data: dict[str, Any]) -> Iterator[Finding]:
    pool = data.get("pool")
    if isinstance(pool, dict) and not pool.get("domains") and not pool.get("mailboxes"):
        yield Finding(("pool",), None, "names nothing; leave it out for all of the client's")


def _predecessors(data: dict[str, Any]) -> Iterator[tuple[int, int | None]]:
    """(number, number of what it follows): -1 is the first message, None nothing there is."""
    named: dict[str, int] = {}
    for number, each in _follow_ups(data):
        if isinstance(each.get("id"), str):
            named.setdefault(each["id"], number)
    before = -1
    for number, each in _follow_ups(data):
        after = each.get("after")
        if after == FIRST:
            yield number, -1
        else:
            yield number, before if after is None else named.get(str(after))
        before = number


def _chain(data: dict[str, Any]) -> Iterator[Finding]:
    follow_ups = dict(_follow_ups(data))
    ids = [each.get("id") for each in follow_ups.values()]
    for number, each in follow_ups.items():
        if each.get("id") == FIRST:
            yield Finding(
                ("follow_ups", number, "id"), FIRST, "is what the first message is called"
            )
        if ids.index(each.get("id")) != list(follow_ups).index(number):
            words = "names two follow-ups"
            yield Finding(("follow_ups", number, "id"), each.get("id"), words)
    after = dict(_predecessors(data))
    first: dict[int, int] = {}
    for number, before in after.items():
        path: Path = ("follow_ups", number, "after")
        if before is None:
            known = [str(each) for each in ids]
            words = f"is no follow-up of this campaign{did_you_mean(_after(data, number), known)}"
            yield Finding(path, _after(data, number), words)
        elif before in first:
            other = ids[list(follow_ups).index(first[before])]
            words = f"two follow one message: {other!r} does too; a recipient gets one at a time"
            yield Finding(path, _after(data, number), words)
        else:
            first[before] = number
    yield from _circles(data, after)


def _circles(data: dict[str, Any], after: dict[int, int | None]) -> Iterator[Finding]:
    follow_ups = dict(_follow_ups(data))
    told: set[int] = set()
    for start in after:
        walked, at = [start], after[start]
        while at is not None and at >= 0 and at not in walked:
            walked.append(at)
            at = after.get(at)
        if at != start or told & set(walked):
            continue
        told |= set(walked)
        names = " after ".join(repr(follow_ups[each].get("id")) for each in (*walked, start))
        path: Path = ("follow_ups", start, "after")
        yield Finding(path, _after(data, start), f"follow-ups in a circle: {names}")


def _after(data: dict[str, Any], number: int) -> Any:
    return dict(_follow_ups(data))[number].get("after")
