"""postfleet shaping: what receivers' words mean, and what followed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from controller.cli.command import Session, add
from controller.cli.options import DryRun, Limit, Reason

group = typer.Typer(help="Shaping rules: receivers' words and what follows.", no_args_is_help=True)

Rules = Annotated[
    Path | None, typer.Option("--rules", metavar="FILE", help="An operator's rules, asked first")
]
Providers = Annotated[
    Path | None,
    typer.Option("--providers", metavar="FILE", help="An operator's table of MX hosts"),
]


@add(
    group,
    "check",
    connects=False,
    examples=("postfleet shaping check", "postfleet shaping check rules.toml"),
)
def check(
    session: Session,
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="An operator's rules (TOML)")
    ] = None,
    providers: Providers = None,
) -> None:
    """Prove rules by their samples, the shipped ones with those of FILE over them.

    Every sample must reach its rule through all layers, no near miss may fire its rule, and no rule
    may be hidden by an earlier one. All mistakes are printed at once.
    """
    from controller.cli.exits import Exit
    from controller.cli.failure import Failure
    from controller.cli.output import print_json
    from controller.shaping.proof import problems

    book = _book(file, providers)
    found = problems(book)
    if session.json:
        print_json({
            "rules": len(book.rules),
            "problems": [
                {"file": each.file, "line": each.line, "rule": each.path, "problem": each.message}
                for each in found
            ],
        })  # fmt: skip
    if found:
        lines = "\n".join(map(str, found))
        raise Failure(Exit.REFUSED, f"{lines}\n{len(found)} problems; these rules prove nothing")
    if not session.json:
        samples = sum(len(placed.rule.samples) for placed in book.rules)
        misses = sum(len(placed.rule.near_misses) for placed in book.rules)
        print(f"{len(book.rules)} rules hold: {samples} samples fire, {misses} near misses do not")


@add(
    group,
    "list",
    connects=False,
    examples=("postfleet shaping list", "postfleet shaping list --provider google"),
)
def list_(
    session: Session,
    provider: Annotated[
        str, typer.Option("--provider", metavar="NAME", help="Only rules that concern it")
    ] = "",
    rules: Rules = None,
    providers: Providers = None,
) -> None:
    """List the rules in the order in which they are asked."""
    from controller.cli.output import print_json, print_table

    placed = [
        each
        for each in _book(rules, providers).rules
        if not provider or not each.rule.provider or provider in each.rule.provider
    ]
    if session.json:
        print_json([{"file": p.file, "line": p.line} | _data(p.rule) for p in placed])
        return
    print_table(
        ("rule", "provider", "codes", "what follows", "why"),
        [
            (p.rule.name, ", ".join(p.rule.provider) or "any",
             " ".join([*map(str, p.rule.code), *p.rule.enhanced]), p.rule.does, p.rule.why)
            for p in placed
        ],
        "no rules",
    )  # fmt: skip


@add(
    group,
    "explain",
    connects=False,
    examples=(
        "postfleet shaping explain '421 4.7.28 Our system has detected an unusual rate of "
        "unsolicited mail' --provider google",
        "postfleet shaping explain 'host mx1.example.net[192.0.2.1] said: 550 5.1.1 no such user'",
    ),
)
def explain(
    session: Session,
    text: Annotated[
        str,
        typer.Argument(
            metavar="TEXT", help="A reply, or the reason of a log line (between the parentheses)"
        ),
    ],
    provider: Annotated[
        str,
        typer.Option(
            "--provider", metavar="NAME", help="Whose words they are [by the host in TEXT]"
        ),
    ] = "",
    rules: Rules = None,
    providers: Providers = None,
) -> None:
    """Say what a reply means, which rule it fires and what would happen."""
    from controller.cli.output import print_details, print_json
    from controller.providers.table import UNKNOWN
    from controller.replies import Speaker, classify, read_reason, read_reply

    table, book = _table(providers), _book(rules, providers)
    reply = read_reason(text)
    if reply.speaker is Speaker.POSTFIX and text[:1].isdigit():
        reply = read_reply(text)
    said_by = provider or (table.of_host(reply.host) if reply.host else UNKNOWN)
    meaning = classify(reply)
    rule = book.first(reply, said_by)
    follows = rule.does if rule else "nothing by a rule"
    if meaning.ends_recipient and reply.speaker is Speaker.RECEIVER:
        follows += "; the recipient is suppressed for the client"
    if session.json:
        print_json({
            "speaker": reply.speaker, "provider": said_by, "code": reply.code,
            "enhanced": reply.enhanced, "text": reply.text, "class": meaning.klass,
            "scope": meaning.scope, "permanent": meaning.permanent, "because": meaning.why,
            "rule": rule.name if rule else None, "action": rule.action if rule else None,
            "follows": follows, "suppresses": meaning.ends_recipient,
        })  # fmt: skip
        return
    print_details(
        [
            ("reply", str(reply)),
            ("of", f"{reply.speaker}, provider {said_by}"),
            ("means", f"{meaning.klass}, about: {meaning.scope}"
                      f"{', for good' if meaning.permanent else ''}"),
            ("because", meaning.why),
            ("rule", f"{rule.name}: {rule.why}" if rule else "none fires"),
            ("what follows", follows),
        ]
    )  # fmt: skip


@add(
    group,
    "pairs",
    examples=("postfleet shaping pairs", "postfleet shaping pairs --provider google"),
)
def pairs(
    session: Session,
    provider: Annotated[
        str, typer.Option("--provider", metavar="NAME", help="Only of this provider")
    ] = "",
    limit: Limit = 0,
) -> None:
    """List the pairs of provider and egress or domain that receivers slowed or stopped.

    One message an hour is the least of a slowed pair; it doubles after each hour without a refusal,
    and rests for six hours below the rate that was refused before.
    """
    from postfleet.v1 import shaping_pb2

    from controller.cli.connection import connected
    from controller.cli.output import as_data, moment, print_json, print_table, state

    request = shaping_pb2.ListPairsRequest(provider=provider)
    with connected(session) as connection:
        rows = list(connection.pages("ListPairs", request, "pairs", limit))
    if session.json:
        print_json([as_data(each) for each in rows])
        return
    print_table(
        ("provider", "egress or domain", "state", "#an hour", "until (utc)", "rule", "reason"),
        [
            (each.provider, each.subject, state(each.state), f"{each.per_hour:,.0f}",
             moment(each, "until"), each.rule, each.reason)
            for each in rows
        ],
        "no receiver wants anything slower",
    )  # fmt: skip


@add(
    group,
    "release",
    examples=(
        "postfleet shaping release microsoft/px001 --reason 'delisted, ticket 1234'",
        "postfleet shaping release google/acme.example --at-once --reason 'DKIM record mended'",
        "postfleet shaping release px001 --reason 'off the list since this morning'",
    ),
)
def release(
    session: Session,
    what: Annotated[
        str,
        typer.Argument(
            metavar="WHAT",
            help="PROVIDER/EGRESS or PROVIDER/DOMAIN; or an egress, domain or mailbox alone",
        ),
    ],
    reason: Reason = "",
    at_once: Annotated[
        bool, typer.Option("--at-once", help="Limit it no more; else it begins slowly")
    ] = False,
    dry_run: DryRun = False,
) -> None:
    """End what slows or stops a pair, or stops more than one, because of a receiver's words."""
    from postfleet.v1 import shaping_pb2

    from controller.cli.connection import asking
    from controller.cli.exits import Exit
    from controller.cli.failure import Failure
    from controller.cli.output import as_data, print_json

    provider, slash, subject = what.partition("/")
    if not slash:
        provider, subject = "", what
    if not subject or (slash and not provider):
        raise Failure(Exit.USAGE, f"{what}: PROVIDER/EGRESS, PROVIDER/DOMAIN, or one thing alone")
    scope = f"provider-{_kind(subject)}" if slash else _kind(subject)
    request = shaping_pb2.ReleasePairRequest(
        scope=scope, provider=provider, subject=subject, at_once=at_once, reason=reason,
        dry_run=dry_run,
    )  # fmt: skip
    reply = asking(session, "ReleasePair", request)
    if session.json:
        print_json({"dry_run": dry_run} | as_data(reply))
    elif not reply.changed:
        print(f"{what}: no receiver's words slow or stop it; nothing changed")
    else:
        then = (
            f"begins with {reply.per_hour:,.0f} messages an hour" if reply.per_hour else "is free"
        )
        print(f"{what}: {'would be' if dry_run else 'is'} released; it {then}")


def _kind(name: str) -> str:
    # Ids of egresses have no dot, domains have one.
    return "mailbox" if "@" in name else "domain" if "." in name else "egress"


def _data(rule: Any) -> dict[str, Any]:
    data: dict[str, Any] = rule.model_dump(mode="json", by_alias=True)
    return data


def _table(providers: Path | None) -> Any:
    from controller.cli.exits import Exit
    from controller.cli.failure import Failure
    from controller.providers.table import TableError, open_table

    try:
        return open_table(providers)
    except TableError as error:
        raise Failure(Exit.REFUSED, str(error)) from None


def _book(rules: Path | None, providers: Path | None) -> Any:
    from controller.cli.exits import Exit
    from controller.cli.failure import Failure
    from controller.shaping.book import open_book
    from controller.shaping.read import ShapingError

    try:
        return open_book(rules, _table(providers).names)
    except ShapingError as error:
        raise Failure(Exit.REFUSED, str(error)) from None
