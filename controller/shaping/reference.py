"""Writes docs/reference/shaping.md: `python -m controller.shaping.reference`.

The form of a rule from the fields themselves, and every shipped rule and provider. A test compares
the committed page with what this writes.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from controller.providers.table import open_table
from controller.replies.meanings import meanings
from controller.shaping.book import open_book
from controller.shaping.rule import Rule

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "shaping.md"
_HEAD = """\
# Shaping: what receivers' words mean, and what follows

Written by `python -m controller.shaping.reference`; do not edit.

Every reply of a receiver that refuses or defers a message is classified (below), and asked of the
shaping rules: the first rule that fires says what follows. The operator's rules
(`postfleet controller run --shaping FILE`) are asked first, then the shipped ones. A rule of theirs
with the name of a shipped one stands in its place; `disable = ["name"]` at the beginning of the
file takes shipped rules away. A controller does not start with rules that `shaping check` refuses.
When the file changes, a running controller takes the rules into use within seconds; what `shaping
check` would refuse leaves those before in force (audit log, `--subject shaping/rules`, and metric
`postfleet_shaping_rules_refused`).

    postfleet shaping check rules.toml      prove the rules by their samples; every mistake at once
    postfleet shaping list                  the rules in the order in which they are asked
    postfleet shaping explain TEXT          what a reply means, which rule fires, what would happen
    postfleet shaping pairs                 what receivers slowed or stopped, by which words
    postfleet shaping release WHAT          end it by hand, when its cause is mended

What our own gateway says (`421 4.3.2 postfleet: …`) and what Postfix repeats for mail that it did
not attempt fires nothing.

What follows holds until it is over, and comes back in steps: a slowed pair doubles its rate after
every hour without a refusal, and a pair that was suspended begins with 4 messages an hour. Below
the rate that was refused last it rests for six hours more before it tries that again. All of it
stands in the audit log (`postfleet audit list --subject provider-egress/google/px001`) with the
rule and the log line. A suspended pair stops dispatch; Postfix goes on trying what it holds
already, and what it hears keeps the suspension alive.

Where no rule fires, a circuit breaker for each pair of provider and egress, and of provider and
sending domain, opens after 5 messages in a row were refused for what the sender is or does: first
for 15 minutes, then for twice as long each time, 12 hours at most. Then one message tries. Is it
refused, the breaker opens again; is it taken, the pair begins with 4 messages an hour.

A permanent failure about the recipient
suppresses that address for the client whose mail it was.

## The form of a rule

```toml
[[rule]]
name = "acme-too-fast"
provider = ["google"]
code = [421]
enhanced = ["4.7.28"]
text = 'unusual (rate|amount) of unsolicited mail'
action = "slow"
per_hour = 20
why = "Gmail limits this address"
source = ["https://support.google.com/a/answer/3726730"]
samples = ["421 4.7.28 Gmail has detected an unusual rate of unsolicited mail."]
near_misses = ["421 4.7.28 Gmail has detected this message exceeded its quota."]
```
"""


def page() -> str:
    """The page as Markdown."""
    return "\n".join([_HEAD, *_fields(), *_rules(), *_providers(), *_codes()]) + "\n"


def _fields() -> Iterator[str]:
    yield "| field | required | meaning |"
    yield "|---|---|---|"
    for name, info in Rule.model_fields.items():
        required = "yes" if info.is_required() else ""
        yield f"| `{info.alias or name}` | {required} | {_cell(info.description or '')} |"


def _rules() -> Iterator[str]:
    yield "\n## The shipped rules\n"
    yield "| rule | provider | what follows | why | source |"
    yield "|---|---|---|---|---|"
    for placed in open_book(None, open_table().names).rules:
        rule = placed.rule
        cells = (f"`{rule.name}`", ", ".join(rule.provider) or "any", rule.does, rule.why,
                 "; ".join(rule.source))  # fmt: skip
        yield f"| {' | '.join(map(_cell, cells))} |"


def _providers() -> Iterator[str]:
    yield "\n## Providers\n"
    yield (
        "Found by the MX hosts of the recipient's domain, kept for their TTL. `--providers FILE`\n"
        "adds to the table and overrules it:"
        ' `[name]` and `mx = ["*.example.net"]`. A host that no pattern names is a\n'
        "receiver of its own, called by its name without the first label, of provider `other`.\n"
    )
    yield "| provider | MX hosts |"
    yield "|---|---|"
    table = open_table()
    for name in table.names:
        hosts = sorted(host for host, of in table.patterns.items() if of == name)
        yield f"| {name} | {', '.join(f'`{host}`' for host in hosts)} |"


def _codes() -> Iterator[str]:
    yield "\n## Status codes\n"
    yield (
        "IANA's registry of enhanced status codes, and what a code is about. Codes of use only\n"
        "as temporary failures are never believed to be permanent. Words may overrule a code: a\n"
        "reply that names a block list says nothing about the address. Only a permanent failure\n"
        "about the recipient suppresses one.\n"
    )
    yield "| code | registered meaning | with reply codes | about |"
    yield "|---|---|---|---|"
    for status in meanings().codes.values():
        about = f"{status.scope}{', temporary only' if status.only_temporary else ''}"
        basic = ", ".join(map(str, sorted(status.basic)))
        yield f"| {status.code} | {_cell(status.summary)} | {basic} | {about} |"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
