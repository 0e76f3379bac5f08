"""What only the whole inventory can show. Pure: parts in, findings out, in the order of the file.

`violations` are errors: an inventory with one is refused. `warnings` are what an operator should
know and may want nevertheless.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from ipaddress import IPv4Network

from inventory.errors import Finding, Path, path_text
from inventory.parts import Parts
from inventory.schema import Egress, Inventory, Limits, Socks5
from inventory.suggest import did_you_mean

# The n-th address of this network stands for egress n on every node (RFC 2544's benchmark range).
SURROGATE_NET = IPv4Network("198.18.0.0/15")
MOST_EGRESSES = 131_070


def violations(parts: Parts) -> list[Finding]:
    """Every broken rule."""
    rules: tuple[Callable[[Parts], Iterator[Finding]], ...] = (
        _fleet,
        _once_only,
        _known_references,
        _one_client_on_an_egress,
        _crowded_egresses,
        _crowded_domains,
        _usable_public_ips,
        _one_proxy_account_per_egress,
    )
    return [finding for rule in rules for finding in rule(parts)]


def warnings(parts: Parts) -> list[Finding]:
    """What is allowed and unwise."""
    return list(_capacity(parts))


def _fleet(parts: Parts) -> Iterator[Finding]:
    fleet = parts.fleet
    if fleet is None:
        return
    lease, mail = fleet.lease, fleet.mail
    if not lease.heartbeat_s < lease.ttl_s - lease.margin_s:
        yield Finding(
            ("fleet", "lease", "heartbeat_s"),
            lease.heartbeat_s,
            f"must be below ttl_s - margin_s, which is {lease.ttl_s - lease.margin_s:g}: "
            "a lease has to be renewed before the node stops trusting it",
        )
    if mail.minimal_backoff_s > mail.maximal_backoff_s:
        yield Finding(
            ("fleet", "mail", "minimal_backoff_s"),
            mail.minimal_backoff_s,
            f"must not be above maximal_backoff_s, which is {mail.maximal_backoff_s}",
        )
    target = fleet.probe_target
    if target is not None and not 1 <= int(target.rpartition(":")[2]) <= 65535:
        yield Finding(("fleet", "probe_target"), target, "must end with a port from 1 to 65535")
    if len(parts.egresses) > MOST_EGRESSES:
        yield Finding(
            ("egresses",), None, f"{len(parts.egresses):,} egresses; {MOST_EGRESSES:,} are allowed"
        )


def unknown_providers(inventory: Inventory, known: Collection[str]) -> Iterator[Finding]:
    """Names of providers that a controller does not know; only that one can tell, for its operator
    may have a table of their own."""
    for number, each in enumerate(inventory.fleet.warm_up.providers):
        if each.provider not in known:
            hint = did_you_mean(each.provider, known) or f"; there are {', '.join(sorted(known))}"
            path: Path = ("fleet", "warm_up", "providers", number, "provider")
            yield Finding(path, each.provider, f"no such provider{hint}")


def _once_only(parts: Parts) -> Iterator[Finding]:
    """Ids, names and addresses that exist once in the fleet."""
    yield from _twice("client id", (((*p.path, "id"), p.item.id) for p in parts.clients))
    yield from _twice("domain", (((*p.path, "name"), p.item.name) for p in parts.domains))
    yield from _twice(
        "mailbox",
        (
            ((*part.path, "local_part"), f"{part.item.local_part}@{domain.name}")
            for part, domain in parts.mailboxes
        ),
    )
    yield from _twice("egress id", (((*p.path, "id"), p.item.id) for p in parts.egresses))
    yield from _twice(
        "public IP", (((*p.path, "public_ip"), str(p.item.public_ip)) for p in parts.egresses)
    )
    yield from _twice(
        "EHLO name", (((*p.path, "helo_name"), p.item.helo_name) for p in parts.egresses)
    )
    yield from _twice("node id", (((*p.path, "id"), p.item.id) for p in parts.nodes))
    yield from _twice("hostname", (((*p.path, "hostname"), p.item.hostname) for p in parts.nodes))
    yield from _twice(
        "ssh address",
        (((*p.path, "address"), f"{p.item.address}:{p.item.ssh_port}") for p in parts.nodes),
    )


def _twice(what: str, values: Iterable[tuple[Path, str]]) -> Iterator[Finding]:
    first: dict[str, Path] = {}
    for path, value in values:
        if value in first:
            message = f"this {what} stands at {path_text(first[value])} already; it exists once"
            yield Finding(path, value, message)
        else:
            first[value] = path


def _known_references(parts: Parts) -> Iterator[Finding]:
    def unknown(path: Path, value: str, kind: str, what: str) -> Iterator[Finding]:
        known = parts.ids.get(kind)
        if known is not None and value not in known:
            yield Finding(path, value, f"no such {what}{did_you_mean(value, known)}")

    for domain in parts.domains:
        yield from unknown((*domain.path, "client"), domain.item.client, "clients", "client")
    for mailbox, _ in parts.mailboxes:
        yield from unknown((*mailbox.path, "egress"), mailbox.item.egress, "egresses", "egress")
    for egress in parts.egresses:
        yield from unknown((*egress.path, "client"), egress.item.client, "clients", "client")
        exit_ = egress.item.exit
        if exit_.kind == "address":
            yield from unknown((*egress.path, "exit", "node"), exit_.node, "nodes", "node")


def _one_client_on_an_egress(parts: Parts) -> Iterator[Finding]:
    clients = parts.ids.get("clients", set())
    # The first of two with the same id counts, as in the message about the second.
    owner = {
        part.item.id: part.item.client
        for part in reversed(parts.egresses)
        if part.item.client in clients
    }
    for mailbox, domain in parts.mailboxes:
        egress = mailbox.item.egress
        if domain.client in clients and owner.get(egress, domain.client) != domain.client:
            yield Finding(
                (*mailbox.path, "egress"),
                egress,
                f"belongs to client {owner[egress]}, and {domain.name} to client "
                f"{domain.client}; clients never share an egress",
            )


def _limits(parts: Parts) -> Limits:
    return parts.fleet.limits if parts.fleet else Limits()


def _crowded_egresses(parts: Parts) -> Iterator[Finding]:
    most = _limits(parts).mailboxes_per_egress
    count: Counter[str] = Counter()
    for mailbox, _ in parts.mailboxes:
        egress = mailbox.item.egress
        count[egress] += 1
        if count[egress] == most + 1:
            yield Finding(
                (*mailbox.path, "egress"),
                egress,
                f"is the {_ordinal(most + 1)} mailbox on this egress; "
                f"the limit is {most} (fleet.limits.mailboxes_per_egress)",
            )


def _crowded_domains(parts: Parts) -> Iterator[Finding]:
    most = _limits(parts).mailboxes_per_domain
    count: Counter[str] = Counter()
    for mailbox, domain in parts.mailboxes:
        count[domain.name] += 1
        if count[domain.name] == most + 1:
            yield Finding(
                mailbox.path,
                f"{mailbox.item.local_part}@{domain.name}",
                f"is the {_ordinal(most + 1)} mailbox of this domain; "
                f"the limit is {most} (fleet.limits.mailboxes_per_domain)",
            )


def _ordinal(number: int) -> str:
    tail = {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{'th' if number % 100 in (11, 12, 13) else tail}"


def _usable_public_ips(parts: Parts) -> Iterator[Finding]:
    for egress in parts.egresses:
        ip = egress.item.public_ip
        if ip in SURROGATE_NET:
            reason = f"{SURROGATE_NET} is used on the nodes to tell egresses apart"
        elif ip.is_loopback or ip.is_multicast or ip.is_unspecified or int(ip) == 0xFFFFFFFF:
            reason = "no receiver can see mail come from it"
        else:
            continue
        yield Finding((*egress.path, "public_ip"), str(ip), f"must be a unicast address: {reason}")


def _one_proxy_account_per_egress(parts: Parts) -> Iterator[Finding]:
    """The same account at the same proxy has one exit IP, so it cannot be two egresses."""
    yield from _twice(
        "proxy with this user name",
        (
            ((*part.path, "exit", "host"), f"{account.username}@{account.host}:{account.port}")
            for part in parts.egresses
            for account in _proxy(part.item)
        ),
    )


def _proxy(egress: Egress) -> Iterator[Socks5]:
    if egress.exit.kind == "socks5":
        yield egress.exit


def _capacity(parts: Parts) -> Iterator[Finding]:
    """Egresses move whole, so this is the best case; placement may need a little more."""
    wanted = len(parts.mailboxes)
    capacities = [part.item.capacity for part in parts.nodes]
    total = sum(capacities)
    if wanted > total:
        yield Finding(
            ("nodes",),
            None,
            f"the nodes take {total:,} mailboxes and the inventory has {wanted:,}: "
            f"{wanted - total:,} will not send until there are more nodes",
        )
    elif len(capacities) > 1 and wanted > total - max(capacities):
        yield Finding(
            ("nodes",),
            None,
            f"without its largest node the fleet takes {total - max(capacities):,} of "
            f"{wanted:,} mailboxes: it does not survive the loss of a node whole",
        )
    domains = {part.item.failure_domain for part in parts.nodes}
    if len(capacities) > 1 and len(domains) == 1:
        yield Finding(("nodes",), None, "all nodes are in one failure domain and fail together")
