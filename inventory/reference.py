"""Write the reference fleet: `python -m inventory.reference [--nodes N] [--mailboxes N] > FILE`.

Deterministic: the same numbers give the same octets. `reference.yaml` beside this file is what
the defaults give (a test compares). Names end in .test, addresses are the lab's (RFC 2606, 5737);
secrets are references to files that the lab writes: `proxy-passwords/<client>`, `host-keys/<node>`.
Shares of clients are 40, 30 and 30 %; a domain has at most 30 mailboxes, an egress 8, and without
any one node the rest still has room for all.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

_MAILBOXES_PER_DOMAIN = 30
_MAILBOXES_PER_EGRESS = 8
_EXIT_NETS = (IPv4Network("198.51.100.0/24"), IPv4Network("100.64.0.0/10"))
_MOST_LABS = 100
_MOST_MAILBOXES = 1_000_000
_FIRST_NAMES = (
    "ada", "ben", "clara", "david", "elif", "farid", "greta", "hugo", "ines", "jonas",
    "kaya", "lena", "milan", "nora", "oskar", "paula", "quinn", "rosa", "sami", "tara",
    "umar", "vera", "willem", "xenia", "yusuf", "zoe", "anton", "bianca", "cem", "dana",
)  # fmt: skip
_LAST_NAMES = ("arendt", "brooks", "costa", "duran", "ekberg", "farkas", "gruber", "holm")
_WHY = {
    "mail": "Short, so that what a lab receiver defers comes again while somebody watches.",
    "pacing": "A lab has no day to wait: a mailbox may send what its day admits at once.",
}
_WORDS = (
    "mail", "news", "post", "hello", "team", "office", "daily", "letters", "notes", "desk",
    "studio", "group", "works", "online", "direct", "home",
)  # fmt: skip


@dataclass(frozen=True)
class Owner:
    """A client of the reference fleet; `share` in percent of the mailboxes."""

    id: str
    name: str
    share: int


OWNERS = (
    Owner("harbor", "Harbor Books", 40),
    Owner("alpine", "Alpine Tools", 30),
    Owner("lumen", "Lumen Health", 30),
)


@dataclass(frozen=True)
class Plan:
    """How much of what one client has."""

    owner: Owner
    mailboxes: int
    domains: int
    egresses: int
    # Number of the client's first egress, counted over the fleet from 1.
    first_egress: int


def plan(mailboxes: int) -> list[Plan]:
    """Shares the mailboxes out; clients that would get none are left out."""
    plans: list[Plan] = []
    rest, first = mailboxes, 1
    for owner in OWNERS:
        last = owner is OWNERS[-1]
        count = rest if last else min(rest, -(-mailboxes * owner.share // 100))
        rest -= count
        if count == 0:
            continue
        domains = -(-count // _MAILBOXES_PER_DOMAIN)
        egresses = -(-count // _MAILBOXES_PER_EGRESS)
        plans.append(Plan(owner, count, domains, egresses, first))
        first += egresses
    return plans


def render(
    nodes: int = 8,
    mailboxes: int = 1200,
    lab_index: int = 0,
    settings: Mapping[str, str] | None = None,
) -> str:
    """The inventory as YAML. Raises ValueError where a number is out of range.

    Lab n of a machine (`lab_index`, from 0) has nodes and controller in 10.(80 + n).0.0/16.
    `settings` are settings of the whole fleet, as YAML, beside the reference's or in their place.
    """
    if not 0 <= lab_index < _MOST_LABS:
        raise ValueError(f"lab index: {lab_index}; 0 to {_MOST_LABS - 1} are possible")
    if not 1 <= nodes <= 10_000:
        raise ValueError(f"nodes: {nodes}; 1 to 10,000 are possible")
    if not 1 <= mailboxes <= _MOST_MAILBOXES:
        raise ValueError(f"mailboxes: {mailboxes:,}; 1 to {_MOST_MAILBOXES:,} are possible")
    plans = plan(mailboxes)
    if _capacity(nodes, mailboxes, 3) > 10_000:
        raise ValueError(f"{nodes} nodes are too few for {mailboxes:,} mailboxes")
    lab_net = IPv4Address(f"10.{80 + lab_index}.0.0")
    lines = [*_head(lab_net + 1, settings or {}), "clients:"]
    for each in plans:
        lines += _client(each)
    lines.append("domains:")
    for each in plans:
        lines += _domains(each)
    lines.append("egresses:")
    for each in plans:
        lines += _egresses(each)
    lines.append("nodes:")
    for number in range(1, nodes + 1):
        lines += _node(number, lab_net + 256 + number, _capacity(nodes, mailboxes, number), nodes)
    return "\n".join(lines) + "\n"


def _head(controller: IPv4Address, settings: Mapping[str, str]) -> Iterator[str]:
    yield """\
# The reference fleet, written by `python -m inventory.reference`. Do not edit: give other numbers.
version: 1
fleet:
  allow_target_nets: [203.0.113.0/24, 198.51.100.0/24]"""
    given = {
        "name": "reference",
        "dispatch_horizon_s": "60",
        "probe_interval_s": "60",
        "probe_target": f"{controller}:7444",
        "pacing": "{spread: false, min_gap_s: 0}",
        "limits": "{mailbox_per_hour: 50, egress_per_hour: 500, provider_egress_per_hour: 500}",
        "mail": "{minimal_backoff_s: 5, maximal_backoff_s: 20, queue_lifetime_s: 3600}",
        "costs": "{proxy_monthly_eur: 1.5, domain_yearly_eur: 12, controller_monthly_eur: 9}",
    }
    for name, value in (given | dict(settings)).items():
        if name in _WHY:
            yield f"  # {_WHY[name]}"
        yield f"  {name}: {value}"


def _client(each: Plan) -> Iterator[str]:
    owner = each.owner
    yield f"  - id: {owner.id}"
    yield f"    name: {owner.name}"
    yield f"    unsubscribe_url: https://unsubscribe.{owner.id}.test/u?m="
    yield f"    unsubscribe_mailto: unsubscribe@{_domain_name(owner, 0)}"


def _domain_name(owner: Owner, number: int) -> str:
    word = _WORDS[number % len(_WORDS)]
    round_ = number // len(_WORDS)
    return f"{owner.id}-{word}{round_ + 1 if round_ else ''}.test"


def _domains(each: Plan) -> Iterator[str]:
    for domain in range(each.domains):
        first = each.mailboxes * domain // each.domains
        after = each.mailboxes * (domain + 1) // each.domains
        yield f"  - name: {_domain_name(each.owner, domain)}"
        yield f"    client: {each.owner.id}"
        yield "    mailboxes:"
        for mailbox in range(first, after):
            # Neighbours go to different egresses, so that a domain is spread over many exits.
            egress = each.first_egress + mailbox % each.egresses
            given = _FIRST_NAMES[(mailbox - first) % len(_FIRST_NAMES)]
            family = _LAST_NAMES[domain % len(_LAST_NAMES)]
            yield (
                f"      - {{local_part: {given}.{family}, "
                f"name: {given.title()} {family.title()}, egress: {_egress_id(egress)}}}"
            )


def _egress_id(number: int) -> str:
    return f"px{number:03d}"


def exit_address(number: int) -> IPv4Address:
    """The exit IP of the n-th egress, from 1."""
    first, second = _EXIT_NETS
    if number <= first.num_addresses - 2:
        return first[number]
    return second[number - (first.num_addresses - 2)]


def _egresses(each: Plan) -> Iterator[str]:
    for number in range(each.first_egress, each.first_egress + each.egresses):
        address = exit_address(number)
        yield f"  - id: {_egress_id(number)}"
        yield f"    client: {each.owner.id}"
        yield f"    public_ip: {address}"
        yield f"    helo_name: mx-{number:03d}.{each.owner.id}-out.test"
        yield (
            f"    exit: {{kind: socks5, host: {address}, port: 1080, "
            f"username: {each.owner.id}, password: file:proxy-passwords/{each.owner.id}}}"
        )


def _capacity(nodes: int, mailboxes: int, number: int) -> int:
    """Room for a node's share when one node is missing, rounded up to whole egresses, and some."""
    share = -(-mailboxes // max(1, nodes - 1))
    whole = -(-share // _MAILBOXES_PER_EGRESS) * _MAILBOXES_PER_EGRESS
    return whole + _MAILBOXES_PER_EGRESS * (number % 4)


def _node(number: int, address: IPv4Address, capacity: int, nodes: int) -> Iterator[str]:
    sites = ("north", "south", "west") if nodes >= 6 else ("north", "south")
    site = sites[(number - 1) % len(sites)]
    yield f"  - id: n{number}"
    yield f"    address: {address}"
    yield f"    hostname: n{number}.nodes.reference.test"
    yield f"    host_key: file:host-keys/n{number}"
    yield f"    capacity: {capacity}"
    yield f"    failure_domain: provider-{site}"
    yield f"    region: {site}"
    yield f"    monthly_cost_eur: {4.5 + number % 3 * 0.4:.2f}"


def main(arguments: list[str] | None = None) -> int:
    """Prints the inventory; 2 where the numbers are impossible."""
    parser = argparse.ArgumentParser(
        prog="python -m inventory.reference", description="Print the reference fleet as YAML."
    )
    parser.add_argument("--nodes", type=int, default=8, help="number of nodes (default 8)")
    parser.add_argument(
        "--mailboxes", type=int, default=1200, help="number of mailboxes (default 1200)"
    )
    parser.add_argument("--lab-index", type=int, default=0, help="of the lab (default 0)")
    given = parser.parse_args(arguments)
    try:
        text = render(given.nodes, given.mailboxes, given.lab_index)
    except ValueError as error:
        print(f"inventory.reference: {error}", file=sys.stderr)
        return 2
    sys.stdout.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
