"""Cancels messages and says what became of each."""

from __future__ import annotations

from collections import Counter

from postfleet.v1 import fleet_pb2

from controller.cli.command import Session
from controller.cli.connection import asking
from controller.cli.exits import Exit
from controller.cli.failure import Failure
from controller.cli.output import as_data, print_json, print_table, state

_NOT_STOPPED = ("too-late", "unknown")


def cancel(session: Session, ids: list[str], reason: str, dry_run: bool) -> None:
    """Orders it and prints what holds. Raises Failure where one of them cannot be stopped."""
    request = fleet_pb2.CancelMessagesRequest(ids=ids, reason=reason, dry_run=dry_run)
    results = asking(session, "CancelMessages", request).results
    if session.json:
        print_json({"dry_run": dry_run, "results": [as_data(each) for each in results]})
    else:
        if dry_run:
            print("a dry run: nothing changed")
        rows = [(each.id, state(each.outcome), each.detail) for each in results]
        print_table(("message", "outcome", "what holds"), rows)
    count = Counter(each.outcome for each in results)
    if late := sum(count[outcome] for outcome in _NOT_STOPPED):
        exit_code = Exit.NOT_FOUND if count["unknown"] == len(results) else Exit.REFUSED
        words = ", ".join(f"{count[each]} {each}" for each in _NOT_STOPPED if count[each])
        raise Failure(exit_code, f"{late} of {len(results)} cannot be stopped: {words}")
