"""Suspends and releases, for the groups that can."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from postfleet.v1 import fleet_pb2

from controller.cli.command import Session
from controller.cli.connection import asking
from controller.cli.exits import Exit
from controller.cli.failure import Failure
from controller.cli.output import as_data, print_json

_UNITS = {"s": 1, "min": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}
_LENGTH = re.compile(r"(\d{1,6})(s|min|h|d|w)")


def ends_at(length: str) -> datetime | None:
    """When a suspension of this length, from now, ends; None for no length."""
    if not length:
        return None
    match = _LENGTH.fullmatch(length)
    if match is None:
        raise Failure(
            Exit.USAGE, f"--for {length}: a number and one of s, min, h, d, w, such as 2h or 10d"
        )
    return datetime.now(UTC) + timedelta(seconds=int(match[1]) * _UNITS[match[2]])


def set_suspension(
    session: Session,
    scope: str,
    subject: str,
    suspended: bool,
    reason: str,
    until: datetime | None,
    dry_run: bool,
) -> None:
    """Orders it and prints what became of it."""
    request = fleet_pb2.SetSuspensionRequest(
        scope=scope, subject=subject, suspended=suspended, reason=reason, dry_run=dry_run
    )
    if until is not None:
        request.until.FromDatetime(until)
    reply = asking(session, "SetSuspension", request)
    if session.json:
        print_json({"dry_run": dry_run} | as_data(reply))
        return
    word = "suspended" if suspended else "released"
    if not reply.changed:
        was = f"{word} already" if suspended else "not suspended by an operator"
        print(f"{scope} {subject} is {was}; nothing changed")
    else:
        print(f"{scope} {subject} {'would be' if dry_run else 'is'} {word}")
    for other in reply.remaining:
        print(f"{'also' if suspended else 'still'} suspended by {other}")
