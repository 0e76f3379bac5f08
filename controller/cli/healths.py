"""What the commands of `postfleet health` and `resume` do."""

from __future__ import annotations

from typing import Any

from postfleet.v1 import health_pb2

from controller.cli.command import Session
from controller.cli.connection import asking, connected
from controller.cli.output import (
    as_data,
    console,
    moment,
    print_details,
    print_json,
    print_table,
    state,
)


def show_all(session: Session, scope: str, band: str, filter: str, limit: int) -> None:
    """Prints a list, the lowest score first."""
    request = health_pb2.ListHealthRequest(scope=scope, band=band, filter=filter)
    with connected(session) as connection:
        rows = list(connection.pages("ListHealth", request, "health", limit))
    if session.json:
        print_json([as_data(each) for each in rows])
        return
    print_table(
        (scope, "band", "#score", "since (UTC)", "until (UTC)", "reason"),
        [
            (each.subject, state(each.band), f"{each.score:.0f}", moment(each, "since"),
             moment(each, "until"), each.reason)
            for each in rows
        ],
        f"no {scope} was judged yet" if not band else f"no {scope} is {band}",
    )  # fmt: skip


def show_one(session: Session, scope: str, subject: str) -> None:
    """Prints the verdict on one, and what it is made of."""
    request = health_pb2.ShowHealthRequest(scope=scope, subject=subject)
    detail = asking(session, "ShowHealth", request)
    if session.json:
        print_json(as_data(detail))
        return
    health = detail.health
    stopped = ", ".join(detail.stopped_members)
    print_details(
        [
            (scope, health.subject),
            ("band", state(health.band)),
            ("score", f"{health.score:.0f} of 100"),
            ("since", moment(health, "since")),
            ("until at least", moment(health, "until")),
            ("reason", health.reason),
            ("stopped so far", f"{health.stops} times" if health.stops else ""),
            ("counted from", moment(health, "counted_from")),
            ("sends through it", f"{detail.members}, stopped: {stopped or 'none'}"
             if detail.members else ""),
            ("listed", "; ".join(detail.listings)),
        ]
    )  # fmt: skip
    _print_parts(detail)


def _print_parts(detail: Any) -> None:
    console().print("\nThe score now, from 100:")
    print_table(
        ("part", "#points", "of"), [(p.name, f"{p.points:+.1f}", p.words) for p in detail.parts]
    )
    if detail.rates:
        console().print("\nRates, as estimated:")
        print_table(
            ("rate", "provider", "window", "#bad", "#of", "#expected", "between", "calls for"),
            [
                (r.name, r.provider or "all", r.window, f"{r.bad:,}", f"{r.of:,}",
                 f"{100 * r.rate:.3g} %", f"{100 * r.low:.2g} and {100 * r.high:.2g} %",
                 state(r.band))
                for r in detail.rates
            ],
        )  # fmt: skip
    if detail.counts:
        console().print("\nCounted:")
        print_table(
            ("kind", "provider", "#1h", "#1d", "#7d", "#30d"),
            [
                (c.kind, c.provider or "all", f"{c.hour:,}", f"{c.day:,}", f"{c.week:,}",
                 f"{c.month:,}")
                for c in detail.counts
            ],
        )  # fmt: skip


def resume(
    session: Session, scope: str, subject: str, reason: str, as_it_was: bool, dry_run: bool
) -> None:
    """Lets something go on that health stopped, and says what it was stopped for."""
    request = health_pb2.ResumeRequest(
        scope=scope, subject=subject, reason=reason, as_it_was=as_it_was, dry_run=dry_run
    )
    reply = asking(session, "Resume", request)
    if session.json:
        print_json({"dry_run": dry_run} | as_data(reply))
        return
    before = reply.before
    if not reply.changed:
        print(f"{scope} {subject} is {before.band}: health neither stops nor slows it; "
              "nothing changed")  # fmt: skip
    else:
        print(f"{scope} {subject} was {before.band}: {before.reason}")
        kept = as_it_was or before.band == "slowed"
        how = "where it was" if kept else "at the bottom of its warm-up"
        print(f"it {'would go' if dry_run else 'goes'} on {how}, watched, and is judged anew")
    for other in reply.remaining:
        print(f"still suspended by {other}")
