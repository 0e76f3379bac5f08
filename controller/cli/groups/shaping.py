"""postfleet shaping: what receivers' words mean, and what follows. Needs no controller."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from controller.cli.command import Session, add

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
